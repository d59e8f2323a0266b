"""Signing in and out."""

from flask import Response

from hub.core.access.roles import Permission
from hub.web.dashboard.blueprint import dashboard
from hub.web.dashboard.gate import allowed, open_to_all
from hub.web.dashboard.pages import page


@dashboard.get("/sign-in")
@open_to_all
def sign_in() -> Response:
    return page("error.html", title="sign_in", sentence="Not there yet.")


@dashboard.post("/sign-out")
@allowed(Permission.VIEW)
def sign_out() -> Response:
    return page("error.html", title="sign_out", sentence="Not there yet.")
