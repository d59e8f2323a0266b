"""Plain version for comparison: Flask, the ORM and one RQ job per delivery, with its RQ worker.

The obvious first implementation. It does the same job as the hub (verify, store, enqueue three
deliveries) and keeps none of its promises: jobs are lost with Redis, and a webhook that comes
twice is done twice. `python -m tests.bench.plain URL` is the worker, one forked process per job.
"""

import os
import sys
from datetime import UTC, datetime
from typing import Any

import requests
from flask import Flask, request
from flask_sqlalchemy import SQLAlchemy
from redis import Redis
from rq import Queue, Worker

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
    """Return the app over the stores named in the environment."""
    app = Flask("plain")
    app.config["SQLALCHEMY_DATABASE_URI"] = sqlalchemy_url(os.environ["DATABASE_URL"])
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = {"pool_size": 8}
    db.init_app(app)
    queue = Queue(QUEUE, connection=Redis.from_url(os.environ["REDIS_URL"]))
    secret = os.environ["STRIPE_WEBHOOK_SECRET"]

    @app.post("/webhooks/stripe")
    def take_in() -> tuple[str, int]:
        now = datetime.now(UTC)
        verify_stripe([secret], request.headers.get("Stripe-Signature"), request.data, now)
        told: dict[str, Any] = request.get_json()
        event = PlainEvent(id=told["id"], type=told["type"], received_at=now, payload=told)
        event.deliveries = [PlainDelivery(route=route) for route in ROUTES]
        db.session.add(event)
        db.session.flush()
        numbers = [delivery.id for delivery in event.deliveries]
        db.session.commit()
        for number in numbers:
            queue.enqueue(deliver, "http://127.0.0.1:1/hook", number)
        return "", 200

    return app


def create_tables(url: str) -> None:
    """Create the tables of the plain version."""
    engine = db.create_engine(sqlalchemy_url(url))
    db.metadata.create_all(engine)
    engine.dispose()


def sqlalchemy_url(url: str) -> str:
    return url.replace("postgresql://", "postgresql+psycopg://")


def deliver(url: str, number: int) -> None:
    """Make one call; the body of a job."""
    requests.post(url, json={"event": number, "type": "payment.succeeded"}, timeout=20)


def enqueue(redis_url: str, url: str, count: int) -> None:
    """Enqueue deliveries for the worker."""
    queue = Queue(QUEUE, connection=Redis.from_url(redis_url))
    data = [Queue.prepare_data(deliver, (url, n), result_ttl=0) for n in range(count)]
    queue.enqueue_many(data)


if __name__ == "__main__":
    Worker([QUEUE], connection=Redis.from_url(sys.argv[1])).work(burst=True, logging_level="ERROR")
