"""`/users`: who may sign in, and as what."""

from flask import Response

from hub.core.access.roles import Permission
from hub.web.dashboard.blueprint import dashboard
from hub.web.dashboard.gate import allowed
from hub.web.dashboard.pages import page


@dashboard.get("/users")
@allowed(Permission.ADMINISTER)
def users_page() -> Response:
    return page("error.html", title="users_page", sentence="Not there yet.")
