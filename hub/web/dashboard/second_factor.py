"""`/account/second-factor`: set-up and removal of TOTP codes, and recovery codes."""

from flask import Response, flash, redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from hub.core.auth import one_time_tokens, second_factor, throttle
from hub.core.auth.roles import Permission
from hub.core.errors import Refused
from hub.gateways import totp
from hub.web.dashboard.blueprint import dashboard
from hub.web.dashboard.client import vault
from hub.web.dashboard.permissions import current_user, hub, lacks_second_factor, now, requires
from hub.web.dashboard.reauth import check_again
from hub.web.dashboard.rendering import page
from hub.web.database import db, writing

SET_UP_WITHIN_S = 1800
TOO_LATE = "That took more than half an hour: scan this new code."
WRONG_CODE = "That is not the code that the app shows now: is the telephone's clock right?"


@dashboard.get("/account/second-factor")
@requires(Permission.VIEW, proof=True, before_second_factor=True)
def second_factor_page() -> BaseResponse:
    if current_user().has_second_factor:
        return _page()
    return _set_up(totp.new_secret())


@dashboard.post("/account/second-factor")
@requires(Permission.VIEW, proof=True, before_second_factor=True)
def turn_second_factor_on() -> BaseResponse:
    person, locked = current_user(), request.form.get("locked", "")
    secret = vault().decrypt(locked, str(person.user_id), within_s=SET_UP_WITHIN_S)
    if secret is None:
        return _set_up(totp.new_secret(), 422, fault=TOO_LATE)
    step = totp.step_of(secret, request.form.get("code", ""), now())
    if step is None:
        return _set_up(secret, 422, fault=WRONG_CODE)
    kept = vault().encrypt(secret, str(person.user_id))
    with writing() as connection:
        codes = second_factor.turn_on(
            connection, person.user_id, kept, step, actor=person.actor, now=now()
        )
    return page("recovery_codes.html", codes=codes)


@dashboard.post("/account/second-factor/off")
@requires(Permission.VIEW)
def turn_second_factor_off() -> BaseResponse:
    person = current_user()
    if hub().configuration.users.second_factor_required:
        raise Refused("everybody here needs a second factor: hub.yaml says so")
    checked = check_again(request.form.get("password", ""))
    if checked.fault:
        return _page(checked.status, fault=checked.fault)
    with writing() as connection:
        throttle.clear(connection, checked.attempt.counted)
        second_factor.turn_off(connection, person.user_id, actor=person.actor, now=now())
    flash("Your second factor is off: your password alone signs you in.", "doubt")
    return redirect(url_for("dashboard.account_page"), 303)


@dashboard.post("/account/recovery-codes")
@requires(Permission.VIEW, proof=True)
def renew_recovery_codes() -> BaseResponse:
    person = current_user()
    with writing() as connection:
        one_time_tokens.refuse_repeated_form(connection, request.form.get("once"), now=now())
        codes = second_factor.renew_codes(connection, person.user_id, actor=person.actor, now=now())
    return page("recovery_codes.html", codes=codes)


def _set_up(secret: str, status: int = 200, *, fault: str | None = None) -> Response:
    person = current_user()
    address = totp.otpauth_url(secret, name=person.name, issuer=hub().configuration.site.name)
    return page(
        "second_factor_on.html", status, fault=fault, must_set_up=lacks_second_factor(person),
        qr=totp.qr_code(address),
        secret=" ".join(secret[at : at + 4] for at in range(0, len(secret), 4)),
        locked=vault().encrypt(secret, str(person.user_id)),
    )  # fmt: skip


def _page(status: int = 200, *, fault: str | None = None) -> Response:
    required = hub().configuration.users.second_factor_required
    connection = db.session.connection()
    left = second_factor.codes_left(connection, current_user().user_id)
    return page("second_factor.html", status, fault=fault, codes_left=left, required=required)
