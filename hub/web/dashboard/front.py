"""`/`: what needs somebody now, and how the hub has been."""

from flask import Response

from hub.core.access.roles import Permission
from hub.web.dashboard.blueprint import dashboard
from hub.web.dashboard.gate import allowed
from hub.web.dashboard.pages import page


@dashboard.get("/")
@allowed(Permission.VIEW)
def now_page() -> Response:
    return page("error.html", title="now_page", sentence="Not there yet.")
