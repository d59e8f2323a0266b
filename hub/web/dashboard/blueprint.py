"""The dashboard's blueprint; every module of views hangs its addresses on it.

Sessions in cookies, opened for those who bring one: webhooks and forms never do.
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
    """Flask's own, without a look for what cannot be there: a webhook need not pay for it."""

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        """Return the session of a request; without a cookie, an empty one."""
        if "HTTP_COOKIE" not in request.environ:
            return self.session_class()
        return super().open_session(app, request)
