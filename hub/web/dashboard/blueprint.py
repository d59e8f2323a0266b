"""Blueprint of the dashboard, on which every view module registers its URLs.

Two things here apply to every request of the app: default headers, and the session interface, which
opens a session only for requests with a cookie: webhooks and forms have none.
"""

from flask import Blueprint, Flask, Request, Response, current_app
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface

dashboard = Blueprint(
    "dashboard",
    __name__,
    template_folder="templates",
    static_folder="static",
    static_url_path="/static",
)

# Default headers of every response of the app, also of those to providers.
DEFAULT_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
}
HEADERS_OVER_TLS = {"Strict-Transport-Security": "max-age=31536000"}


@dashboard.after_app_request
def set_default_headers(response: Response) -> Response:
    """Add the default headers that a response does not set itself."""
    for name, value in current_app.extensions["hub_headers"]:
        response.headers.setdefault(name, value)
    return response


class Sessions(SecureCookieSessionInterface):
    """Session interface that skips requests without a cookie, to save webhooks the time."""

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        """Return the session of a request; without a cookie, an empty one."""
        if "HTTP_COOKIE" not in request.environ:
            return self.session_class()
        return super().open_session(app, request)
