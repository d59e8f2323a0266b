"""Sign-in by password and second factor; sign-out."""

from typing import Any

from flask import Response, g, redirect, request, session, url_for
from werkzeug.wrappers import Response as BaseResponse

from hub.core.auth import one_time_tokens, users
from hub.core.auth import sign_in as entry
from hub.core.auth.one_time_tokens import Purpose
from hub.core.auth.roles import Permission
from hub.web.dashboard.blueprint import dashboard
from hub.web.dashboard.client import forget_session, keep_session, next_page
from hub.web.dashboard.credential_check import CredentialCheck, check_code, check_password
from hub.web.dashboard.permissions import current_user, now, public, requires
from hub.web.dashboard.rendering import page
from hub.web.database import db, writing

HALF = "half"
EXPIRED = "That took too long, or was used already: begin again with your password."


@dashboard.get("/sign-in")
@public
def sign_in() -> BaseResponse:
    if g.person is not None:
        return redirect(next_page(), 303)
    return _form("sign_in.html")


@dashboard.post("/sign-in")
@public
def sign_in_with_password() -> BaseResponse:
    checked = check_password(request.form.get("name", ""), request.form.get("password", ""))
    if checked.fault or checked.attempt.user_id is None:
        return refused("sign_in.html", checked, next=next_page(), name=checked.attempt.name)
    if checked.attempt.totp_secret is None:
        return _come_in(checked, by="password")
    with writing() as connection:
        ticket = entry.issue_mfa_ticket(connection, checked.attempt, now=now())
    session[HALF] = ticket
    return redirect(url_for("dashboard.sign_in_code", next=request.form.get("next")), 303)


@dashboard.get("/sign-in/code")
@public
def sign_in_code() -> BaseResponse:
    if _half() is None:
        return redirect(url_for("dashboard.sign_in", next=request.args.get("next")), 303)
    return _form("sign_in_code.html", recovery="recovery" in request.args)


@dashboard.post("/sign-in/code")
@public
def sign_in_with_code() -> BaseResponse:
    name = _half()
    if name is None:
        return page("sign_in.html", 401, next=next_page(), fault=EXPIRED)
    checked = check_code(name, request.form.get("code", ""))
    if checked.fault:
        recovery = "recovery" in request.form
        return refused("sign_in_code.html", checked, next=next_page(), recovery=recovery)
    with writing() as connection:
        held = one_time_tokens.use_token(connection, session[HALF], Purpose.MFA_PENDING, now=now())
    if held is None:
        return page("sign_in.html", 401, next=next_page(), fault=EXPIRED)
    return _come_in(checked, by="password and code")


@dashboard.post("/sign-out")
@requires(Permission.VIEW, before_second_factor=True)
def sign_out() -> BaseResponse:
    person = current_user()
    with writing() as connection:
        entry.leave(connection, person.session_id, actor=person.actor, now=now())
    forget_session("You are signed out.")
    return redirect(url_for("dashboard.sign_in"), 303)


def refused(template: str, checked: CredentialCheck, **values: Any) -> Response:
    """Return a form again with its fault; `Retry-After` has the throttle's delay."""
    answer = page(template, checked.status, fault=checked.fault, **values)
    if checked.wait:
        answer.headers["Retry-After"] = str(int(checked.wait.total_seconds()) + 1)
    return answer


def _form(template: str, **values: Any) -> Response:
    return page(template, next=next_page(), **values)


def _half() -> str | None:
    """Return the user name of the ticket that a right password gave the session, else None."""
    ticket = session.get(HALF)
    if not isinstance(ticket, str):
        return None
    connection = db.session.connection()
    held = one_time_tokens.find_token(connection, ticket, Purpose.MFA_PENDING, now=now())
    return users.with_id(connection, held.user_id).name if held else None


def _come_in(checked: CredentialCheck, *, by: str) -> BaseResponse:
    user_id = checked.attempt.user_id
    if user_id is None:
        return refused("sign_in.html", checked, next=next_page(), name=checked.attempt.name)
    wanted = next_page()
    with writing() as connection:
        token = entry.complete_attempt(
            connection, checked.attempt, user_id, checked.browser, by=by, now=now()
        )
    keep_session(token)
    return redirect(wanted, 303)
