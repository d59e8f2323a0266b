"""`/healthz`: liveness of the process. `/readyz`: readiness to store webhooks, or what prevents it.

Redis, worker and clock are not checked: webhooks are stored without them, and the work is done
later. `/metrics` shows the delay. A disk that is nearly full is named while it is still ready.
"""

from flask import Blueprint, Response, current_app, jsonify
from sqlalchemy.exc import SQLAlchemyError

from hub.core.hub import Hub
from hub.gateways.database.migrations import revisions

health = Blueprint("health", __name__)


@health.get("/healthz", provide_automatic_options=False)
def alive() -> Response:
    """Answer as `hub.asgi` does by itself."""
    return jsonify(status="alive")


@health.get("/readyz", provide_automatic_options=False)
def ready() -> tuple[Response, int]:
    hub: Hub = current_app.extensions["hub"]
    is_full = hub.disk.is_full
    disks = [words for one in hub.disk.alerts.values() for words in one.values()]
    if (troubles := _troubles(hub)) or is_full:
        return jsonify(status="not ready", troubles=troubles + disks), 503
    return jsonify(status="ready", **({"troubles": disks} if disks else {})), 200


def _troubles(hub: Hub) -> list[str]:
    try:
        with hub.store.read() as connection:
            current, newest = revisions(connection)
    except SQLAlchemyError as error:
        return [f"database: {type(error).__name__}"]
    if current != newest:
        return [f"tables: they are at {current or 'nothing'}, not {newest}: run `hub db upgrade`"]
    return []
