"""`/healthz`: liveness of the process. `/readyz`: readiness to store webhooks, or what prevents it.

Redis, worker and clock are not checked: webhooks are stored without them, and the work is done
later. `/metrics` shows the delay.
"""

from flask import Blueprint, Response, current_app, jsonify
from sqlalchemy.exc import SQLAlchemyError

from hub.core.hub import Hub
from hub.gateways.database.migrations import revisions

health = Blueprint("health", __name__)


@health.get("/healthz", provide_automatic_options=False)
def alive() -> Response:
    return jsonify(status="alive")


@health.get("/readyz", provide_automatic_options=False)
def ready() -> tuple[Response, int]:
    if troubles := _troubles(current_app.extensions["hub"]):
        return jsonify(status="not ready", troubles=troubles), 503
    return jsonify(status="ready"), 200


def _troubles(hub: Hub) -> list[str]:
    try:
        with hub.store.read() as connection:
            current, newest = revisions(connection)
    except SQLAlchemyError as error:
        return [f"database: {type(error).__name__}"]
    if current != newest:
        return [f"tables: they are at {current or 'nothing'}, not {newest}: run `hub db upgrade`"]
    return []
