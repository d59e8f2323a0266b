"""Credential check for passwords and codes: each attempt is counted before it is checked."""

import math
from dataclasses import dataclass, replace
from datetime import timedelta

from hub.core.auth import second_factor, sign_in
from hub.core.auth.sign_in import Browser, SignInAttempt
from hub.gateways.password_hashing import hash_password, is_outdated, is_password
from hub.gateways.totp import step_of
from hub.web.dashboard.client import browser, vault
from hub.web.dashboard.permissions import hub, now

WRONG = "That name and password do not belong together."
WRONG_CODE = "That code is not good: each is good once, and for half a minute."
UNREADABLE = (
    "The hub cannot read your second factor any more, since its SECRET_KEY has changed: "
    "sign in with a recovery code, or ask an admin to reset your account."
)


@dataclass(frozen=True, slots=True)
class CheckedCredential:
    """Result of an attempt. `fault`: why it failed; `wait`: the throttle's delay."""

    attempt: SignInAttempt
    browser: Browser
    fault: str | None = None
    wait: timedelta | None = None

    @property
    def status(self) -> int:
        return 429 if self.wait else 401


def hear_password(name: str, password: str, *, wrong: str = WRONG) -> CheckedCredential:
    """Count an attempt, and check a password; an unknown name takes as long as a known one."""
    heard = _knock(name)
    if heard.wait:
        return heard
    attempt = heard.attempt
    if not is_password(password, attempt.password_hash):
        return _turned_away(heard, "password", wrong)
    if attempt.user_id and attempt.password_hash and is_outdated(attempt.password_hash):
        renewed = hash_password(password)
        with hub().store.write() as connection:
            sign_in.rehash(connection, attempt.user_id, attempt.password_hash, renewed)
        return replace(heard, attempt=replace(attempt, password_hash=renewed))
    return heard


def hear_code(name: str, code: str) -> CheckedCredential:
    """Count an attempt, and check a TOTP or recovery code. A good code is used up."""
    heard = _knock(name)
    if heard.wait:
        return heard
    if _is_of_telephone(code):
        return _hear_telephone(heard, code)
    user_id = heard.attempt.user_id
    with hub().store.write() as connection:
        good = user_id and second_factor.use_code(connection, user_id, code, now=now())
    return heard if good else _turned_away(heard, "recovery code", WRONG_CODE)


def _hear_telephone(heard: CheckedCredential, code: str) -> CheckedCredential:
    attempt = heard.attempt
    secret = vault().decrypt(attempt.totp_secret or "", str(attempt.user_id))
    if secret is None:
        return _turned_away(heard, "code", UNREADABLE if attempt.totp_secret else WRONG_CODE)
    step = step_of(secret, code, now())
    with hub().store.write() as connection:
        good = (
            step and attempt.user_id and second_factor.use_step(connection, attempt.user_id, step)
        )
    return heard if good else _turned_away(heard, "code", WRONG_CODE)


def _knock(name: str) -> CheckedCredential:
    seen = browser()
    with hub().store.write() as connection:
        attempt = sign_in.begin_attempt(connection, name, seen, now=now())
    if wait := attempt.counted.wait:
        return CheckedCredential(
            attempt, seen, f"That was too often. Wait {_in_words(wait)}.", wait
        )
    return CheckedCredential(attempt, seen)


def _turned_away(heard: CheckedCredential, what: str, fault: str) -> CheckedCredential:
    with hub().store.write() as connection:
        sign_in.refuse_attempt(connection, heard.attempt, heard.browser, what=what, now=now())
    return CheckedCredential(heard.attempt, heard.browser, fault)


def _is_of_telephone(code: str) -> bool:
    return len("".join(code.split())) == 6


def _in_words(wait: timedelta) -> str:
    seconds = math.ceil(wait.total_seconds())
    if seconds > 90:
        return f"{math.ceil(seconds / 60)} minutes"
    return "a second" if seconds <= 1 else f"{seconds} seconds"
