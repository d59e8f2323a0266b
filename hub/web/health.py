"""`/healthz`: the process is alive. `/readyz`: it can store webhooks, or says why not."""

from flask import Blueprint, Response, current_app, jsonify
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from hub.core.hub import Hub

health = Blueprint("health", __name__)


@health.get("/healthz")
def alive() -> Response:
    return jsonify(status="alive")


@health.get("/readyz")
def ready() -> tuple[Response, int]:
    hub: Hub = current_app.extensions["hub"]
    troubles = []
    try:
        with hub.store.read() as connection:
            connection.execute(text("SELECT 1 FROM events LIMIT 1"))
    except SQLAlchemyError as error:
        troubles.append(f"database: {type(error).__name__}")
    if not troubles:
        return jsonify(status="ready"), 200
    return jsonify(status="not ready", troubles=troubles), 503
