"""The dashboard: what is broken, why, and once more; for people, behind a login."""

from datetime import timedelta

from flask import Flask

from hub.web.dashboard import (
    account,
    audit,
    deliveries,
    destinations,
    door,
    events,
    front,
    replays,
    showing,
    sources,
    unknown,
    users,
)
from hub.web.dashboard.blueprint import dashboard
from hub.web.dashboard.gate import csrf

__all__ = ["register"]

VIEWS = (
    account, audit, deliveries, destinations, door, events, front, replays, showing, sources,
    unknown, users,
)  # fmt: skip
"""The modules that hang views and filters on the blueprint."""

LONGEST_COOKIE = timedelta(days=7)


def register(app: Flask, *, secure: bool) -> None:
    """Give an app the dashboard. `secure`: it is reached over TLS."""
    app.config.update(
        SESSION_COOKIE_NAME="__Host-hub" if secure else "hub",
        SESSION_COOKIE_SECURE=secure,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        PERMANENT_SESSION_LIFETIME=LONGEST_COOKIE,
        WTF_CSRF_CHECK_DEFAULT=False,
        WTF_CSRF_TIME_LIMIT=None,
    )
    csrf.init_app(app)
    app.register_blueprint(dashboard)
