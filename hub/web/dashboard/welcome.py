"""`/welcome/<token>`: one-time links to create the first account or to set a password."""

from flask import Response, flash, redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from hub.core.auth import one_time_tokens, sign_in, users
from hub.core.auth.one_time_tokens import Purpose, TicketInfo
from hub.core.auth.passwords import password_fault
from hub.core.errors import NotFound, Refused
from hub.gateways.password_hashing import hash_password
from hub.web.dashboard.blueprint import dashboard
from hub.web.dashboard.client import browser, keep_session
from hub.web.dashboard.credential_check import hashing_turn
from hub.web.dashboard.permissions import hub, now, public
from hub.web.dashboard.rendering import page
from hub.web.database import db, writing


@dashboard.get("/welcome/<token>")
@public
def welcome_page(token: str) -> BaseResponse:
    _, name = _good(token)
    return _form(name, is_first=name is None)


@dashboard.post("/welcome/<token>")
@public
def welcome(token: str) -> BaseResponse:
    held, known_name = _good(token)
    name = known_name or request.form.get("name", "")
    password = request.form.get("password", "")
    fault = new_password_fault(password, name) or (None if known_name else _name_fault(name))
    if fault:
        return _form(name, 422, is_first=known_name is None, fault=fault)
    db.session.remove()  # no connection waits for the hash
    with hashing_turn():
        hashed = hash_password(password)
    session_token = _enter(token, held, name, hashed)
    keep_session(session_token)
    flash(f"Welcome, {name.strip().lower()}. You are signed in.", "good")
    return redirect(url_for("dashboard.now_page"), 303)


def new_password_fault(password: str, name: str) -> str | None:
    """Return the fault of the two new passwords in a form; None if they are valid."""
    if password != request.form.get("again", ""):
        return "The two passwords are not the same: type them once more."
    configuration = hub().configuration
    least, site = configuration.users.password_min, configuration.site.name
    return password_fault(password, least=least, name=name, site=site)


def _form(
    name: str | None, status: int = 200, *, is_first: bool, fault: str | None = None
) -> Response:
    least = hub().configuration.users.password_min
    return page("welcome.html", status, name=name, is_first=is_first, fault=fault, least=least)


def _good(token: str) -> tuple[TicketInfo, str | None]:
    """Return a link's ticket and user name; the name is None for the first account.

    Raises:
        NotFound: the ticket is not valid, or an account exists and the link is for the first one.
    """
    connection = db.session.connection()
    held = one_time_tokens.find_token(connection, token, Purpose.FIRST, Purpose.PASSWORD, now=now())
    if held is None or (held.user_id is None and users.has_accounts(connection)):
        raise NotFound(sign_in.STALE_LINK)
    return held, users.with_id(connection, held.user_id).name if held.user_id else None


def _enter(token: str, held: TicketInfo, name: str, password_hash: str) -> str:
    with writing() as connection:
        if held.purpose is Purpose.FIRST:
            return sign_in.create_first_account(
                connection, token, name, password_hash, browser(), now=now()
            )
        return sign_in.set_password(connection, token, password_hash, browser(), now=now())


def _name_fault(name: str) -> str | None:
    try:
        users.wanted_name(name)
    except Refused as error:
        return f"{str(error)[0].upper()}{str(error)[1:]}."
    return None
