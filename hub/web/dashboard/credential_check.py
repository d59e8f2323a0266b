"""Credential check for passwords and codes: each attempt is counted before it is checked."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from urllib.parse import unquote

from flask import current_app

from hub.core.auth import second_factor, sign_in
from hub.core.auth.sign_in import Browser, SignInAttempt
from hub.gateways.password_hashing import (
    HashingPlaces,
    hash_password,
    is_outdated,
    is_password,
)
from hub.gateways.totp import step_of
from hub.web.dashboard.client import browser, vault
from hub.web.dashboard.permissions import now
from hub.web.database import writing
from hub.web.request_head import Head

# Addresses of the forms with a password.
PASSWORD_PATHS = (
    "/sign-in",
    "/prove",
    "/welcome/",
    "/account/password",
    "/account/second-factor/off",
)
WRONG = "That name and password do not belong together."
WRONG_CODE = "That code is not good: each is good once, and for half a minute."
UNREADABLE = (
    "The hub cannot read your second factor any more, since its SECRET_KEY has changed: "
    "give a recovery code, or ask an admin to reset your account."
)


@dataclass(frozen=True, slots=True)
class CredentialCheck:
    """Result of an attempt. `fault`: why it failed; `wait`: the throttle's delay."""

    attempt: SignInAttempt
    browser: Browser
    fault: str | None = None
    wait: timedelta | None = None

    @property
    def status(self) -> int:
        return 429 if self.wait else 401


def asks_for_password(head: Head) -> bool:
    """Return whether a view will hash the password of a request's form."""
    return head.method == "POST" and unquote(head.path).startswith(PASSWORD_PATHS)


def check_password(name: str, password: str, *, wrong: str = WRONG) -> CredentialCheck:
    """Count an attempt, and check a password; an unknown name takes as long as a known one.

    Raises:
        HashingBusy: too many are checked already; this attempt does not count.
    """
    with _hashing().place() as turn:
        checked = _begin(name)
        if checked.wait:
            return checked
        attempt, renewed = checked.attempt, None
        with turn():
            is_right = is_password(password, attempt.password_hash)
            if is_right and attempt.password_hash and is_outdated(attempt.password_hash):
                renewed = hash_password(password)
    if not is_right:
        return _turned_away(checked, "password", wrong)
    if attempt.user_id and attempt.password_hash and renewed:
        with writing() as connection:
            sign_in.rehash(connection, attempt.user_id, attempt.password_hash, renewed)
        return replace(checked, attempt=replace(attempt, password_hash=renewed))
    return checked


def check_identity(name: str, password: str, code: str, *, wrong: str = WRONG) -> CredentialCheck:
    """Count an attempt, and check a password and, where there is a second factor, its code too.

    A wrong password uses no code up.
    """
    checked = check_password(name, password, wrong=wrong)
    if checked.fault or checked.attempt.totp_secret is None:
        return checked
    return _check_code(checked, code)


def check_code(name: str, code: str) -> CredentialCheck:
    """Count an attempt, and check a TOTP or recovery code. A good code is used up."""
    checked = _begin(name)
    return checked if checked.wait else _check_code(checked, code)


@contextmanager
def hashing_turn() -> Iterator[None]:
    """Hold a turn to hash a new password.

    Raises:
        HashingBusy: too many are hashed already.
    """
    with _hashing().place() as turn, turn():
        yield


def _hashing() -> HashingPlaces:
    places: HashingPlaces = current_app.extensions["hub_hashing_places"]
    return places


def _check_code(checked: CredentialCheck, code: str) -> CredentialCheck:
    if _is_of_telephone(code):
        return _check_totp(checked, code)
    user_id = checked.attempt.user_id
    with writing() as connection:
        good = user_id and second_factor.use_code(connection, user_id, code, now=now())
    return checked if good else _turned_away(checked, "recovery code", WRONG_CODE)


def _check_totp(checked: CredentialCheck, code: str) -> CredentialCheck:
    attempt = checked.attempt
    secret = vault().decrypt(attempt.totp_secret or "", str(attempt.user_id))
    if secret is None:
        return _turned_away(checked, "code", UNREADABLE if attempt.totp_secret else WRONG_CODE)
    step = step_of(secret, code, now())
    with writing() as connection:
        good = (
            step and attempt.user_id and second_factor.use_step(connection, attempt.user_id, step)
        )
    return checked if good else _turned_away(checked, "code", WRONG_CODE)


def _begin(name: str) -> CredentialCheck:
    seen = browser()
    with writing() as connection:
        attempt = sign_in.begin_attempt(connection, name, seen, now=now())
    if wait := attempt.counted.wait:
        return CredentialCheck(attempt, seen, f"That was too often. Wait {_in_words(wait)}.", wait)
    return CredentialCheck(attempt, seen)


def _turned_away(checked: CredentialCheck, what: str, fault: str) -> CredentialCheck:
    with writing() as connection:
        sign_in.refuse_attempt(connection, checked.attempt, checked.browser, what=what, now=now())
    return CredentialCheck(checked.attempt, checked.browser, fault)


def _is_of_telephone(code: str) -> bool:
    return len("".join(code.split())) == 6


def _in_words(wait: timedelta) -> str:
    seconds = math.ceil(wait.total_seconds())
    if seconds > 90:
        return f"{math.ceil(seconds / 60)} minutes"
    return "a second" if seconds <= 1 else f"{seconds} seconds"
