"""`/destinations`: whom the hub calls, and how that goes."""

from flask import Response

from hub.core.access.roles import Permission
from hub.web.dashboard.blueprint import dashboard
from hub.web.dashboard.gate import allowed
from hub.web.dashboard.pages import page


@dashboard.get("/destinations")
@allowed(Permission.VIEW)
def destinations_page() -> Response:
    return page("error.html", title="destinations_page", sentence="Not there yet.")
