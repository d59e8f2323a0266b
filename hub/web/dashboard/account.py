"""`/account`: one's own password, second factor and sessions."""

from flask import Response

from hub.core.access.roles import Permission
from hub.web.dashboard.blueprint import dashboard
from hub.web.dashboard.gate import allowed
from hub.web.dashboard.pages import page


@dashboard.get("/account")
@allowed(Permission.VIEW)
def account_page() -> Response:
    return page("error.html", title="account_page", sentence="Not there yet.")
