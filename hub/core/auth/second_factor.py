"""Second factor: a TOTP secret in a phone, and recovery codes for when the phone is lost.

`hub.gateways.totp` computes and verifies the TOTP codes; this module accepts each code only once.
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
# No characters that are easily confused (`i l o 0 1`).
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
_GROUPS, _GROUP = 3, 4


def turn_on(
    connection: Connection, user_id: UUID, secret: str, step: int, *, actor: str, now: datetime
) -> list[str]:
    """Enable the second factor of a user; return the recovery codes, to be shown once.

    `secret` is the encrypted TOTP secret. `step` is the time step of the code that proved that the
    phone has the secret.

    Raises:
        Refused: the second factor is on already, or the account was reset or disabled meanwhile.
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
    """Remove the second factor and the recovery codes; return whether it was enabled."""
    changed = connection.execute(
        update(User)
        .where(User.id == user_id, User.totp_secret.is_not(None))
        .values(totp_secret=None, totp_step=None)
    )
    connection.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user_id))
    return changed.rowcount > 0


def turn_off(connection: Connection, user_id: UUID, *, actor: str, now: datetime) -> None:
    """Disable the second factor at its user's own request, and record it in the audit log."""
    if drop(connection, user_id):
        name = connection.execute(select(User.name).where(User.id == user_id)).scalar_one()
        record_action(
            connection, actor=actor, action="second_factor.off", subject=f"user {name}", now=now
        )


def renew_codes(connection: Connection, user_id: UUID, *, actor: str, now: datetime) -> list[str]:
    """Replace the recovery codes of a user; return the new ones, to be shown once.

    The row of the user is locked: two concurrent requests would not see, and so not delete, each
    other's codes.

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
    """Use up the time step of a TOTP code and all older ones; return whether it was still valid."""
    changed = connection.execute(
        update(User)
        .where(User.id == user_id, User.totp_secret.is_not(None))
        .where(or_(User.totp_step.is_(None), User.totp_step < step))
        .values(totp_step=step)
    )
    return changed.rowcount == 1


def use_code(connection: Connection, user_id: UUID, code: str, *, now: datetime) -> bool:
    """Use up a recovery code; return whether it was valid."""
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
    """Return the number of unused recovery codes."""
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
