"""Blueprint of the dashboard, on which every view module registers its URLs.

Sessions are kept in cookies, and opened only for requests with one: webhooks and forms have none.
"""

from flask import Blueprint, Flask, Request
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface

dashboard = Blueprint(
    "dashboard",
    __name__,
    template_folder="templates",
    static_folder="static",
    static_url_path="/static",
)


class Sessions(SecureCookieSessionInterface):
    """Session interface that skips requests without a cookie, to save webhooks the time."""

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        """Return the session of a request; without a cookie, an empty one."""
        if "HTTP_COOKIE" not in request.environ:
            return self.session_class()
        return super().open_session(app, request)
