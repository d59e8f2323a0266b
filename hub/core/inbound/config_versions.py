"""Which version of `hub.yaml` matched an event: its routes are kept, its credentials never."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from hub.core.configuration import Configuration, Route
from hub.core.models import ConfigVersion, insert_if_new


def note_version(connection: Connection, configuration: Configuration, *, now: datetime) -> None:
    """Keep the routes of a version that has not been seen before."""
    routes = {name: _described(route) for name, route in configuration.routes.items()}
    connection.execute(
        insert_if_new(connection, ConfigVersion).values(
            version=configuration.version, first_seen_at=now, routes=routes
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
