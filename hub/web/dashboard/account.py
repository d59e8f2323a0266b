"""`/account`: password, second factor and sessions of the signed-in user."""

from datetime import timedelta
from uuid import UUID

from flask import Response, abort, flash, redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from hub.core.audit import record_action
from hub.core.auth import second_factor, sessions, sign_in, throttle
from hub.core.auth.roles import Permission
from hub.gateways.password_hashing import hash_password
from hub.web.dashboard.blueprint import dashboard
from hub.web.dashboard.credential_check import hashing_turn
from hub.web.dashboard.params import id_or_404
from hub.web.dashboard.permissions import current_user, hub, now, requires
from hub.web.dashboard.reauth import check_again
from hub.web.dashboard.rendering import page
from hub.web.dashboard.template_filters import relative
from hub.web.dashboard.welcome import new_password_fault
from hub.web.database import db, writing


@dashboard.app_template_filter("span")
def span(length: timedelta) -> str:
    """Format a duration: `8 hours`, `7 days`."""
    return relative(length).removeprefix("in ")


@dashboard.get("/account")
@requires(Permission.VIEW)
def account_page() -> Response:
    return _account()


@dashboard.post("/account/password")
@requires(Permission.VIEW)
def change_password() -> BaseResponse:
    person, password = current_user(), request.form.get("password", "")
    if fault := new_password_fault(password, person.name):
        return _account(422, password_fault=fault)
    checked = check_again(request.form.get("old", ""))
    if checked.fault:
        return _account(checked.status, password_fault=checked.fault)
    with hashing_turn():
        hashed = hash_password(password)
    with writing() as connection:
        throttle.clear(connection, checked.attempt.counted)
        sign_in.change_password(
            connection, person.user_id, checked.attempt.password_hash, hashed,
            session_id=person.session_id, actor=person.actor, now=now(),
        )  # fmt: skip
    flash("Your password is changed. Everywhere else you are signed out.", "good")
    return redirect(url_for("dashboard.account_page"), 303)


@dashboard.post("/account/sessions/<session_id>/end")
@requires(Permission.VIEW)
def end_session(session_id: str) -> BaseResponse:
    person, found = current_user(), id_or_404(session_id)
    with writing() as connection:
        if not sessions.end_of(connection, person.user_id, _other(found), now=now()):
            abort(404)
        record_action(
            connection, actor=person.actor, action="session.end", subject=_myself(), now=now()
        )
    flash("That browser is signed out.", "good")
    return redirect(url_for("dashboard.account_page"), 303)


@dashboard.post("/account/sessions/end-others")
@requires(Permission.VIEW)
def end_other_sessions() -> BaseResponse:
    person = current_user()
    with writing() as connection:
        ended = sessions.end_all(connection, person.user_id, now=now(), but=person.session_id)
        record_action(
            connection, actor=person.actor, action="session.end", subject=_myself(), now=now()
        )
    words = "one other browser" if ended == 1 else f"{ended} other browsers"
    flash(f"You are signed out of {words}.", "good")
    return redirect(url_for("dashboard.account_page"), 303)


def _myself() -> str:
    return f"user {current_user().name}"


def _other(session_id: UUID) -> UUID:
    """Return the id, unless it is the current session's (404), which ends by signing out."""
    return abort(404) if session_id == current_user().session_id else session_id


def _account(status: int = 200, **faults: str | None) -> Response:
    person, rules = current_user(), hub().configuration.users
    connection = db.session.connection()
    found = sessions.list_open(
        connection, person.user_id, now=now(), idle=rules.idle, longest=rules.longest
    )
    left = second_factor.codes_left(connection, person.user_id)
    return page("account.html", status, sessions=found, codes_left=left, rules=rules, **faults)
