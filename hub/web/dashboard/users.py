"""`/users`: accounts, their roles, and invitations."""

from typing import Any

from flask import Response, abort, flash, redirect, request, url_for
from sqlalchemy import Connection
from werkzeug.wrappers import Response as BaseResponse

from hub.core.auth import one_time_tokens, sessions, throttle, users
from hub.core.auth.accounts import UserAccount
from hub.core.auth.roles import Permission, Role
from hub.core.errors import Refused
from hub.web.dashboard.blueprint import dashboard
from hub.web.dashboard.client import welcome_link
from hub.web.dashboard.params import id_or_404
from hub.web.dashboard.permissions import current_user, hub, now, requires
from hub.web.dashboard.rendering import page
from hub.web.database import db, writing


@dashboard.get("/users")
@requires(Permission.ADMINISTER)
def users_page() -> Response:
    return _users()


@dashboard.post("/users")
@requires(Permission.ADMINISTER, proof=True)
def invite() -> BaseResponse:
    name, role, personal = request.form.get("name", ""), _role(), _personal()
    person = current_user()
    try:
        with writing() as connection:
            user_id = users.add(
                connection, name, role, password_hash=None, sees_personal=personal,
                by=person.user_id, actor=person.actor, now=now(),
            )  # fmt: skip
            user = users.with_id(connection, user_id)
            secret = users.invite(connection, user, actor=person.actor, now=now())
    except Refused as error:
        given = {"name": name, "role": role, "personal": personal}
        return _users(422, fault=f"{str(error).capitalize()}.", given=given)
    return _link_page(user, secret)


@dashboard.get("/users/<user_id>")
@requires(Permission.ADMINISTER)
def user_page(user_id: str) -> Response:
    rules = hub().configuration.users
    connection = db.session.connection()
    user = users.with_id(connection, id_or_404(user_id))
    waits = throttle.waiting(connection, [user.name], now=now())
    found = sessions.list_open(
        connection, user.id, now=now(), idle=rules.idle, longest=rules.longest
    )
    return page("user.html", user=user, waits=waits.get(user.name), sessions=found, roles=Role)


@dashboard.post("/users/<user_id>/change")
@requires(Permission.ADMINISTER, proof=True)
def change_user(user_id: str) -> BaseResponse:
    with writing() as connection:
        user = users.with_id(connection, id_or_404(user_id))
        ends_link = users.change(
            connection, user, role=_role(), sees_personal=_personal(), by=current_user().user_id,
            actor=current_user().actor, now=now(),
        )  # fmt: skip
    link = " The link that was made for this account is good no more." if ends_link else ""
    return _done(user, f"{user.name} is changed; it counts at once.{link}")


@dashboard.post("/users/<user_id>/disable")
@requires(Permission.ADMINISTER, proof=True)
def disable_user(user_id: str) -> BaseResponse:
    with writing() as connection:
        user = _somebody_else(connection, user_id)
        users.disable(connection, user, actor=current_user().actor, now=now())
    return _done(user, f"{user.name} is signed out everywhere, and cannot sign in.")


@dashboard.post("/users/<user_id>/enable")
@requires(Permission.ADMINISTER, proof=True)
def enable_user(user_id: str) -> BaseResponse:
    with writing() as connection:
        user = users.with_id(connection, id_or_404(user_id))
        users.enable(connection, user, actor=current_user().actor, now=now())
    return _done(user, f"{user.name} can sign in again.")


@dashboard.post("/users/<user_id>/reset")
@requires(Permission.ADMINISTER, proof=True)
def reset_user(user_id: str) -> BaseResponse:
    with writing() as connection:
        user = _somebody_else(connection, user_id)
        one_time_tokens.refuse_repeated_form(connection, request.form.get("once"), now=now())
        secret = users.reset(
            connection, user, by=current_user().user_id, actor=current_user().actor, now=now()
        )
        user = users.with_id(connection, user.id)
    return _link_page(user, secret)


@dashboard.post("/users/<user_id>/unlock")
@requires(Permission.ADMINISTER, proof=True)
def unlock_user(user_id: str) -> BaseResponse:
    with writing() as connection:
        user = users.with_id(connection, id_or_404(user_id))
        users.unlock(connection, user, actor=current_user().actor, now=now())
    return _done(user, f"{user.name} can try again at once.")


def _somebody_else(connection: Connection, user_id: str) -> UserAccount:
    user = users.with_id(connection, id_or_404(user_id))
    if user.id == current_user().user_id:
        raise Refused("that is your own account: ask another admin, or use `hub users`")
    return user


def _role() -> Role:
    try:
        return Role(request.form.get("role", ""))
    except ValueError:
        abort(400)


def _personal() -> bool:
    return "personal" in request.form


def _done(user: UserAccount, words: str) -> BaseResponse:
    flash(words, "good")
    return redirect(url_for("dashboard.user_page", user_id=user.id), 303)


def _link_page(user: UserAccount, secret: str) -> Response:
    return page("user_link.html", user=user, link=welcome_link(secret))


def _users(status: int = 200, **values: Any) -> Response:
    connection = db.session.connection()
    found = users.list_all(connection)
    waits = throttle.waiting(connection, [user.name for user in found], now=now())
    return page("users.html", status, users=found, waits=waits, roles=Role, **values)
