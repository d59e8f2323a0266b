"""Login throttling: an attempt is counted before it is checked; delays double up to 15 minutes.

One statement counts and decides, so fifty concurrent attempts count as many as fifty in a row. No
user is locked out for ever: the delay is capped, an address from which the account was used before
has its own counter for that account, and an admin can unlock an account at once.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, case, delete, literal, select, update
from sqlalchemy.dialects import postgresql, sqlite

from hub.core.client_addresses import customer_block_of
from hub.core.models import Session, SignInTry, User
from hub.core.models.base import UtcDateTime

FREE_OF_ACCOUNT, FREE_OF_ADDRESS = 5, 20
WAITS = tuple(timedelta(seconds=2**n) for n in range(10))
LONGEST_WAIT = timedelta(minutes=15)
# Of the counter that everybody behind an undeclared proxy shares: long enough to make guessing
# hopeless, too short to keep anybody out. Each account has a counter of its own beside it.
LONGEST_SHARED_WAIT = timedelta(seconds=15)
FORGOTTEN_AFTER = timedelta(hours=24)
KNOWN_FOR = timedelta(days=30)
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
    is_shared: bool = False,
    now: datetime,
) -> ThrottleResult:
    """Count a sign-in attempt before it is checked, and return its delay.

    A counter whose delay refuses the attempt is not increased. `is_shared`: the address is not
    known, and the attempt counts for everybody behind the same proxy.
    """
    connection.execute(delete(SignInTry).where(SignInTry.last_at < now - FORGOTTEN_AFTER))
    account = _account_key(name, address if _is_known(connection, name, address, now) else None)
    shared = _digest("shared") if is_shared else None
    counted = ThrottleResult(account, _address_key(address) if address else shared)
    longest = LONGEST_SHARED_WAIT if address is None else LONGEST_WAIT
    for key, free, most in (
        (counted.address, FREE_OF_ADDRESS, longest),
        (account, FREE_OF_ACCOUNT, LONGEST_WAIT),
    ):
        if key is not None and (wait := _count(connection, key, free, most, now=now)):
            return ThrottleResult(account, counted.address, wait)
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
    """Delete the counters of an account, for unknown and for known addresses.

    The next sign-in attempt need not wait for the account's sake. Counters of addresses stay.
    """
    addresses = connection.execute(
        select(Session.address).join(User, User.id == Session.user_id).where(User.name == name)
        .distinct()
    ).scalars()  # fmt: skip
    keys = {_account_key(name, address) for address in [*addresses, None]}
    connection.execute(delete(SignInTry).where(SignInTry.key.in_(keys)))


def waiting(connection: Connection, names: Sequence[str], *, now: datetime) -> dict[str, datetime]:
    """Return the throttled accounts of `names`, each with the end of its delay.

    The delay holds for unknown addresses; those used by the account before count apart.
    """
    keys = {_account_key(name, None): name for name in names}
    found = select(SignInTry.key, SignInTry.free_at).where(
        SignInTry.key.in_(keys), SignInTry.free_at > now
    )
    return {keys[row.key]: row.free_at for row in connection.execute(found)}


def _count(
    connection: Connection, key: bytes, free: int, longest: timedelta, *, now: datetime
) -> timedelta | None:
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    n = case((SignInTry.last_at < now - FORGOTTEN_AFTER, 1), else_=SignInTry.n + 1)
    free_at = case(
        (n < free, literal(_ALWAYS, UtcDateTime())),
        *(
            (n == free + i, literal(now + min(wait, longest), UtcDateTime()))
            for i, wait in enumerate(WAITS)
        ),
        else_=literal(now + longest, UtcDateTime()),
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


def _address_key(address: str) -> bytes:
    return _digest("address", customer_block_of(address))


def _digest(*parts: str) -> bytes:
    text = "\0".join(parts)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
