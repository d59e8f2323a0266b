"""`/events`: what happened; one event with all that hangs on it."""

from flask import Response

from hub.core.access.roles import Permission
from hub.web.dashboard.blueprint import dashboard
from hub.web.dashboard.gate import allowed
from hub.web.dashboard.pages import page


@dashboard.get("/events")
@allowed(Permission.VIEW)
def events_page() -> Response:
    return page("error.html", title="events_page", sentence="Not there yet.")
