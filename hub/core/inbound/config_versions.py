"""Configuration versions that matched events: their routes are stored, their credentials never."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from hub.core.configuration import Configuration, Route
from hub.core.models import ConfigVersion, insert_if_new


def note_version(connection: Connection, configuration: Configuration, *, now: datetime) -> None:
    """Insert the routes of a configuration version, unless it is stored already."""
    routes = {name: _described(route) for name, route in configuration.routes.items()}
    connection.execute(
        insert_if_new(connection, ConfigVersion).values(
            version=configuration.version, first_seen_at=now, last_seen_at=now, routes=routes
        )
    )


def _described(route: Route) -> dict[str, Any]:
    return {
        "on": list(route.on),
        "from": list(route.sources),
        "live": route.live,
        "when": route.when.text if route.when else None,
        "do": f"{route.destination}.{route.action}",
        "enabled": route.enabled,
    }
