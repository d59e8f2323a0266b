"""Plain version for comparison: Flask, the ORM and one RQ job per delivery, with its RQ worker.

The obvious first implementation. It does the same job as the hub (verify, store, enqueue the
deliveries) and keeps none of its promises: jobs are lost with Redis, and a webhook that comes
twice is done twice. `python -m tests.bench.plain KIND URL` is the worker: `forking` has a process
for each job and ends without work, `simple` runs jobs in its own and waits for more.
"""

import os
import sys
from datetime import UTC, datetime
from typing import Any

import requests
from flask import Flask, request
from flask_sqlalchemy import SQLAlchemy
from redis import Redis
from rq import Queue, SimpleWorker, Worker

from adapters.contract.signatures.standard_webhooks import verify_stripe

ROUTES = ("one", "two", "three")
QUEUE = "plain"

db = SQLAlchemy()


class PlainEvent(db.Model):
    id = db.Column(db.Text, primary_key=True)
    type = db.Column(db.Text, nullable=False)
    received_at = db.Column(db.DateTime(timezone=True), nullable=False)
    payload = db.Column(db.JSON, nullable=False)
    deliveries = db.relationship("PlainDelivery", back_populates="event")


class PlainDelivery(db.Model):
    id = db.Column(db.Integer, primary_key=True)
    event_id = db.Column(db.ForeignKey(PlainEvent.id), nullable=False)
    route = db.Column(db.Text, nullable=False)
    state = db.Column(db.Text, nullable=False, default="pending")
    event = db.relationship(PlainEvent, back_populates="deliveries")


def create_app() -> Flask:
    """Return the app over the stores named in the environment.

    `PLAIN_ROUTES` is how many deliveries an event has, `FAR_END` where they go.
    """
    app = Flask("plain")
    app.config["SQLALCHEMY_DATABASE_URI"] = sqlalchemy_url(os.environ["DATABASE_URL"])
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = {"pool_size": 8}
    db.init_app(app)
    queue = Queue(QUEUE, connection=Redis.from_url(os.environ["REDIS_URL"]))
    secret = os.environ["STRIPE_WEBHOOK_SECRET"]
    routes = ROUTES[: int(os.environ.get("PLAIN_ROUTES", len(ROUTES)))]
    url = os.environ.get("FAR_END", "http://127.0.0.1:1/hook")

    @app.post("/webhooks/stripe")
    def take_in() -> tuple[str, int]:
        now = datetime.now(UTC)
        verify_stripe([secret], request.headers.get("Stripe-Signature"), request.data, now)
        told: dict[str, Any] = request.get_json()
        event = PlainEvent(id=told["id"], type=told["type"], received_at=now, payload=told)
        event.deliveries = [PlainDelivery(route=route) for route in routes]
        db.session.add(event)
        db.session.flush()
        numbers = [delivery.id for delivery in event.deliveries]
        db.session.commit()
        for number in numbers:
            queue.enqueue(deliver, url, number, told["id"])
        return "", 200

    return app


def create_tables(url: str) -> None:
    """Create the tables of the plain version."""
    engine = db.create_engine(sqlalchemy_url(url))
    db.metadata.create_all(engine)
    engine.dispose()


def sqlalchemy_url(url: str) -> str:
    return url.replace("postgresql://", "postgresql+psycopg://")


def deliver(url: str, number: int, event_id: str = "") -> None:
    """Make one call; the body of a job."""
    body = {"event": event_id or number, "type": "payment.succeeded"}
    requests.post(url, json=body, timeout=20)


def enqueue(redis_url: str, url: str, count: int) -> None:
    """Enqueue deliveries for the worker."""
    queue = Queue(QUEUE, connection=Redis.from_url(redis_url))
    data = [Queue.prepare_data(deliver, (url, n), result_ttl=0) for n in range(count)]
    queue.enqueue_many(data)


def work(kind: str, redis_url: str) -> None:
    """Run jobs as `forking` or as `simple` worker."""
    redis = Redis.from_url(redis_url)
    if kind == "simple":
        SimpleWorker([QUEUE], connection=redis).work(logging_level="ERROR")
    else:
        Worker([QUEUE], connection=redis).work(burst=True, logging_level="ERROR")


if __name__ == "__main__":
    # Jobs name their functions in the module as it is imported, not as `__main__`.
    work(sys.argv[1], sys.argv[2])
