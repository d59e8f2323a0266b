"""Login throttling: an attempt is counted before it is checked; delays double up to 15 minutes.

One statement counts and decides, so fifty concurrent attempts count as many as fifty in a row. No
user is locked out for ever: the delay is capped, a browser in which the account was used before and
an address from which it was used have their own counters for that account, and an admin can unlock
an account at once.

Where addresses are not known (behind a proxy that is not counted, say), all attempts share one
budget a minute, so large that no stranger uses it up by a try now and then. A browser in which the
account was used before needs none of it.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, case, delete, literal, select, update
from sqlalchemy.dialects import postgresql, sqlite

from hub.core.client_addresses import customer_block_of
from hub.core.models import Session, SignInTry, User
from hub.core.models.base import UtcDateTime

FREE_OF_ACCOUNT, FREE_OF_ADDRESS = 5, 20
WAITS = tuple(timedelta(seconds=2**n) for n in range(10))
LONGEST_WAIT = timedelta(minutes=15)
FORGOTTEN_AFTER = timedelta(hours=24)
KNOWN_FOR = timedelta(days=30)
# Attempts from all unknown addresses together.
SHARED, SHARED_WITHIN = 300, timedelta(minutes=1)
# Refused attempts at names that no account has, of which the audit log keeps an entry each: nothing
# else bounds them, and it is kept for ever.
NOTED, NOTED_WITHIN = 200, timedelta(hours=1)
# `free_at` of a counter without delay. Not `now`: of two concurrent attempts, the one with the
# earlier `now` may be counted last, and would have to wait.
_ALWAYS = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class ThrottleResult:
    """Throttle result: the keys of the attempt's counters, and its delay.

    `wait` is None if the attempt may be checked now.
    """

    account: bytes
    address: bytes | None
    wait: timedelta | None = None


def register_attempt(
    connection: Connection,
    name: str,
    address: str | None,
    *,
    browser: UUID | None = None,
    now: datetime,
) -> ThrottleResult:
    """Count a sign-in attempt before it is checked, and return its delay.

    A counter whose delay refuses the attempt is not increased. `browser`: the id of a session that
    the account had in the same browser; such an attempt counts for that browser alone, not for its
    address, at which there may be strangers too.
    """
    connection.execute(delete(SignInTry).where(SignInTry.last_at < now - FORGOTTEN_AFTER))
    if browser is not None:
        counted = ThrottleResult(_browser_key(name, browser), None)
    else:
        known = address if _is_known(connection, name, address, now) else None
        counted = ThrottleResult(_account_key(name, known), _address_key(address))
        if address is None and (wait := _share(connection, now=now)):
            return replace(counted, wait=wait)
    for key, free in ((counted.address, FREE_OF_ADDRESS), (counted.account, FREE_OF_ACCOUNT)):
        if key is not None and (wait := _count(connection, key, free, now=now)):
            return replace(counted, wait=wait)
    return counted


def clear(connection: Connection, counted: ThrottleResult) -> None:
    """Reset an account's counter after a successful sign-in; its address gets one attempt back."""
    if counted.address is not None:
        connection.execute(
            update(SignInTry)
            .where(SignInTry.key == counted.address, SignInTry.n > 0)
            .values(n=SignInTry.n - 1)
        )
    connection.execute(delete(SignInTry).where(SignInTry.key == counted.account))


def unlock(connection: Connection, name: str) -> None:
    """Delete the counters of an account, those for known addresses and browsers too.

    The next sign-in attempt need not wait for the account's sake. Counters of addresses stay.
    """
    used = connection.execute(
        select(Session.id, Session.address).join(User, User.id == Session.user_id)
        .where(User.name == name)
    ).all()  # fmt: skip
    keys = {_account_key(name, address) for address in {None, *(one.address for one in used)}}
    keys |= {_browser_key(name, one.id) for one in used}
    connection.execute(delete(SignInTry).where(SignInTry.key.in_(keys)))


def waiting(connection: Connection, names: Sequence[str], *, now: datetime) -> dict[str, datetime]:
    """Return the throttled accounts of `names`, each with the end of its delay.

    The delay holds for unknown addresses and browsers; those used by the account before count
    apart.
    """
    keys = {_account_key(name, None): name for name in names}
    found = select(SignInTry.key, SignInTry.free_at).where(
        SignInTry.key.in_(keys), SignInTry.free_at > now
    )
    return {keys[row.key]: row.free_at for row in connection.execute(found)}


def count_refusal_of_nobody(connection: Connection, *, now: datetime) -> int:
    """Count a refused attempt at a name that no account has; return its number in this window."""
    n, _ = _count_in_window(connection, _digest("nobody"), NOTED_WITHIN, now=now)
    return n


def _share(connection: Connection, *, now: datetime) -> timedelta | None:
    n, ends_at = _count_in_window(connection, _digest("shared"), SHARED_WITHIN, now=now)
    return max(ends_at - now, timedelta(seconds=1)) if n > SHARED else None


def _count_in_window(
    connection: Connection, key: bytes, within: timedelta, *, now: datetime
) -> tuple[int, datetime]:
    """Count one in a window of a key, which the first one begins; return the count and its end."""
    is_over = SignInTry.free_at <= now
    ends_at = literal(now + within, UtcDateTime())
    counted = connection.execute(
        _insert(connection)(SignInTry)
        .values(key=key, n=1, last_at=now, free_at=now + within)
        .on_conflict_do_update(
            index_elements=[SignInTry.key],
            set_={
                "n": case((is_over, 1), else_=SignInTry.n + 1),
                "last_at": now,
                "free_at": case((is_over, ends_at), else_=SignInTry.free_at),
            },
        )
        .returning(SignInTry.n, SignInTry.free_at)
    )
    n, until = counted.one()
    return n, until


def _count(connection: Connection, key: bytes, free: int, *, now: datetime) -> timedelta | None:
    insert = _insert(connection)
    n = case((SignInTry.last_at < now - FORGOTTEN_AFTER, 1), else_=SignInTry.n + 1)
    free_at = case(
        (n < free, literal(_ALWAYS, UtcDateTime())),
        *((n == free + i, literal(now + wait, UtcDateTime())) for i, wait in enumerate(WAITS)),
        else_=literal(now + LONGEST_WAIT, UtcDateTime()),
    )
    counted = connection.execute(
        insert(SignInTry)
        .values(key=key, n=1, last_at=now, free_at=_ALWAYS)
        .on_conflict_do_update(
            index_elements=[SignInTry.key],
            set_={"n": n, "last_at": now, "free_at": free_at},
            where=SignInTry.free_at <= now,
        )
        .returning(SignInTry.n)
    ).first()
    if counted:
        return None
    free_at_last = select(SignInTry.free_at).where(SignInTry.key == key)
    until: datetime = connection.execute(free_at_last).scalar_one()
    return max(until - now, timedelta(seconds=1))


def _is_known(connection: Connection, name: str, address: str | None, now: datetime) -> bool:
    if address is None:
        return False
    used = (
        select(Session.address).join(User, User.id == Session.user_id).distinct()
        .where(User.name == name, Session.address.is_not(None),
               Session.created_at > now - KNOWN_FOR)
    )  # fmt: skip
    here = customer_block_of(address)
    found = connection.execute(used).scalars()
    return any(one is not None and customer_block_of(one) == here for one in found)


def _account_key(name: str, known_address: str | None) -> bytes:
    return _digest("account", name, customer_block_of(known_address) if known_address else "")


def _browser_key(name: str, session_id: UUID) -> bytes:
    return _digest("browser", name, str(session_id))


def _address_key(address: str | None) -> bytes | None:
    return _digest("address", customer_block_of(address)) if address else None


def _digest(*parts: str) -> bytes:
    text = "\0".join(parts)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def _insert(connection: Connection) -> Any:
    return postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
