"""`/prove`: re-authentication before sensitive actions, with all factors that the account has."""

from flask import redirect, request
from werkzeug.wrappers import Response as BaseResponse

from hub.core.auth import sessions, throttle
from hub.core.auth.roles import Permission
from hub.web.dashboard.blueprint import dashboard
from hub.web.dashboard.client import next_page
from hub.web.dashboard.credential_check import CredentialCheck, check_identity
from hub.web.dashboard.permissions import current_user, now, requires
from hub.web.dashboard.rendering import page
from hub.web.dashboard.sign_in import refused
from hub.web.database import writing

WRONG = "That is not your password."


def check_again(password: str) -> CredentialCheck:
    """Check the signed-in user's password and, with a second factor, the code in the form."""
    code = request.form.get("code", "")
    return check_identity(current_user().name, password, code, wrong=WRONG)


@dashboard.get("/prove")
@requires(Permission.VIEW, before_second_factor=True)
def prove_page() -> BaseResponse:
    if current_user().has_proved(now()):
        return redirect(next_page(), 303)
    return page("reauth.html", next=next_page())


@dashboard.post("/prove")
@requires(Permission.VIEW, before_second_factor=True)
def prove() -> BaseResponse:
    person = current_user()
    checked = check_again(request.form.get("password", ""))
    if checked.fault:
        return refused("reauth.html", checked, next=next_page())
    with writing() as connection:
        throttle.clear(connection, checked.attempt.counted)
        sessions.mark_proved(connection, person.session_id, now=now())
    return redirect(next_page(), 303)
