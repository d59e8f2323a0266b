"""`/deliveries`: the work, by state and destination."""

from flask import Response

from hub.core.access.roles import Permission
from hub.web.dashboard.blueprint import dashboard
from hub.web.dashboard.gate import allowed
from hub.web.dashboard.pages import page


@dashboard.get("/deliveries")
@allowed(Permission.VIEW)
def deliveries_page() -> Response:
    return page("error.html", title="deliveries_page", sentence="Not there yet.")
