"""`/audit`: who did what, and when."""

from flask import Response

from hub.core.access.roles import Permission
from hub.web.dashboard.blueprint import dashboard
from hub.web.dashboard.gate import allowed
from hub.web.dashboard.pages import page


@dashboard.get("/audit")
@allowed(Permission.ADMINISTER)
def audit_page() -> Response:
    return page("error.html", title="audit_page", sentence="Not there yet.")
