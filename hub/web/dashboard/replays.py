"""`/replays`: deliveries run again, many at once, under a person's eyes."""

from flask import Response

from hub.core.access.roles import Permission
from hub.web.dashboard.blueprint import dashboard
from hub.web.dashboard.gate import allowed
from hub.web.dashboard.pages import page


@dashboard.get("/replays")
@allowed(Permission.VIEW)
def replays_page() -> Response:
    return page("error.html", title="replays_page", sentence="Not there yet.")
