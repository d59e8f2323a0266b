"""`/sources`: where webhooks come from, and how to set that up."""

from flask import Response

from hub.core.access.roles import Permission
from hub.web.dashboard.blueprint import dashboard
from hub.web.dashboard.gate import allowed
from hub.web.dashboard.pages import page


@dashboard.get("/sources")
@allowed(Permission.VIEW)
def sources_page() -> Response:
    return page("error.html", title="sources_page", sentence="Not there yet.")
