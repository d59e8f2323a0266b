"""The second factor: a secret in a telephone, and codes on paper for when it is gone.

What the codes of a telephone are, `hub.gateways.totp` knows; here each is good once.
"""

import hashlib
import secrets
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, delete, func, insert, or_, select, update

from hub.core.audit import record_action
from hub.core.errors import Refused
from hub.core.models import RecoveryCode, User

CODES = 10
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"  # none that is taken for another
_GROUPS, _GROUP = 3, 4


def turn_on(
    connection: Connection, user_id: UUID, secret: str, step: int, *, actor: str, now: datetime
) -> list[str]:
    """Ask for a code at every sign-in from now on; return the recovery codes, to be shown once.

    `secret` is encrypted; `step` that of the code which proved that the telephone has it.

    Raises:
        Refused: it is on already, or the account was reset or disabled meanwhile.
    """
    is_good = User.password_hash.is_not(None) & User.disabled_at.is_(None)
    changed = connection.execute(
        update(User)
        .where(User.id == user_id, User.totp_secret.is_(None), is_good)
        .values(totp_secret=secret, totp_step=step)
        .returning(User.name)
    ).scalar_one_or_none()
    if changed is None:
        raise Refused("your second factor is on already: turn it off first, or sign in again")
    record_action(
        connection, actor=actor, action="second_factor.on", subject=f"user {changed}", now=now
    )
    return _make_codes(connection, user_id)


def drop(connection: Connection, user_id: UUID) -> bool:
    """Ask for no code any more; return whether one was asked for."""
    changed = connection.execute(
        update(User)
        .where(User.id == user_id, User.totp_secret.is_not(None))
        .values(totp_secret=None, totp_step=None)
    )
    connection.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user_id))
    return changed.rowcount > 0


def turn_off(connection: Connection, user_id: UUID, *, actor: str, now: datetime) -> None:
    """Ask for no code any more, as its owner wishes."""
    if drop(connection, user_id):
        name = connection.execute(select(User.name).where(User.id == user_id)).scalar_one()
        record_action(
            connection, actor=actor, action="second_factor.off", subject=f"user {name}", now=now
        )


def renew_codes(connection: Connection, user_id: UUID, *, actor: str, now: datetime) -> list[str]:
    """Return new recovery codes, to be shown once; the old ones are good no more.

    Who asks twice at once waits: neither would see the other's codes, and end them.

    Raises:
        Refused: there is no second factor.
    """
    user = connection.execute(
        select(User.name, User.totp_secret).where(User.id == user_id).with_for_update()
    ).one()
    if user.totp_secret is None:
        raise Refused("recovery codes come with a second factor: turn it on first")
    subject = f"user {user.name}"
    record_action(connection, actor=actor, action="second_factor.codes", subject=subject, now=now)
    return _make_codes(connection, user_id)


def use_step(connection: Connection, user_id: UUID, step: int) -> bool:
    """Return whether the code of a time step is good; it and older ones are not any more."""
    changed = connection.execute(
        update(User)
        .where(User.id == user_id, User.totp_secret.is_not(None))
        .where(or_(User.totp_step.is_(None), User.totp_step < step))
        .values(totp_step=step)
    )
    return changed.rowcount == 1


def use_code(connection: Connection, user_id: UUID, code: str, *, now: datetime) -> bool:
    """Return whether a recovery code is good; it is not any more."""
    changed = connection.execute(
        update(RecoveryCode)
        .where(
            RecoveryCode.user_id == user_id,
            RecoveryCode.digest == _digest(code),
            RecoveryCode.used_at.is_(None),
        )
        .values(used_at=now)
    )
    return changed.rowcount == 1


def codes_left(connection: Connection, user_id: UUID) -> int:
    """Return how many recovery codes are good."""
    counted = select(func.count()).where(
        RecoveryCode.user_id == user_id, RecoveryCode.used_at.is_(None)
    )
    return connection.execute(counted).scalar_one()


def _make_codes(connection: Connection, user_id: UUID) -> list[str]:
    connection.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user_id))
    codes = [_code() for _ in range(CODES)]
    connection.execute(
        insert(RecoveryCode), [{"user_id": user_id, "digest": _digest(code)} for code in codes]
    )
    return codes


def _code() -> str:
    groups = ("".join(secrets.choice(_LETTERS) for _ in range(_GROUP)) for _ in range(_GROUPS))
    return "-".join(groups)


def _digest(code: str) -> bytes:
    letters = "".join(letter for letter in code.lower() if letter.isalnum())
    return hashlib.sha256(letters.encode("utf-8", "surrogatepass")).digest()
