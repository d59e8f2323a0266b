"""Dashboard for signed-in users: failures, their causes, and replays."""

from flask import Flask

from hub.web.dashboard import (
    account,
    audit,
    deliveries,
    destinations,
    event,
    event_actions,
    events,
    home,
    reauth,
    replay_preview,
    replays,
    request,
    second_factor,
    sign_in,
    sources,
    template_filters,
    unknown,
    users,
    welcome,
)
from hub.web.dashboard.blueprint import (
    DEFAULT_HEADERS,
    HEADERS_OVER_TLS,
    Sessions,
    dashboard,
)
from hub.web.dashboard.permissions import csrf

__all__ = ["register"]

# Modules that register views and filters on the blueprint when they are imported.
VIEWS = (
    account,
    event_actions,
    request,
    audit,
    deliveries,
    destinations,
    sign_in,
    event,
    events,
    second_factor,
    home,
    replay_preview,
    reauth,
    replays,
    template_filters,
    sources,
    unknown,
    users,
    welcome,
)


def register(app: Flask, *, secure: bool) -> None:
    """Register the dashboard on an app. `secure`: it is reached over TLS."""
    app.config.update(
        SESSION_COOKIE_NAME="__Host-hub" if secure else "hub",
        SESSION_COOKIE_SECURE=secure,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        PERMANENT_SESSION_LIFETIME=app.extensions["hub"].configuration.users.longest,
        SESSION_REFRESH_EACH_REQUEST=False,
        WTF_CSRF_CHECK_DEFAULT=False,
        WTF_CSRF_TIME_LIMIT=None,
    )
    app.session_interface = Sessions()
    csrf.init_app(app)
    app.register_blueprint(dashboard)
    headers = DEFAULT_HEADERS | (HEADERS_OVER_TLS if secure else {})
    app.extensions["hub_headers"] = tuple(headers.items())
