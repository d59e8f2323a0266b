"""`/unknown`: outcomes that nobody knows, and what a person can say of them."""

from flask import Response

from hub.core.access.roles import Permission
from hub.web.dashboard.blueprint import dashboard
from hub.web.dashboard.gate import allowed
from hub.web.dashboard.pages import page


@dashboard.get("/unknown")
@allowed(Permission.VIEW)
def unknown_page() -> Response:
    return page("error.html", title="unknown_page", sentence="Not there yet.")
