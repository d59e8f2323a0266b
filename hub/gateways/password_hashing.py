"""Password hashing with argon2id; verification takes the same time with and without a hash.

A process hashes few passwords at a time, so that a flood of sign-ins leaves its threads to others.

Separate from `crypto`, which workers and the clock import, to keep argon2 out of their memory.
"""

import logging
import os
import threading
import time
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from hub.core.errors import HubError

# In characters: a longer password costs memory without better protection.
LONGEST = 128

# How long an attempt waits for a place, and for its turn; one hash takes some 20 ms.
WITHIN_S = 2.0
# How long a refused sender is told to wait, in seconds.
RETRY_AFTER_S = 3
_SAY_EVERY_S = 60.0

# The minimum of OWASP's Password Storage Cheat Sheet; four hashes at once take 75 MiB.
_hasher = PasswordHasher(time_cost=2, memory_cost=19456, parallelism=1)

# Dummy hash of random bytes at that cost; to compute it at every start would take 30 ms.
NOBODYS = (
    "$argon2id$v=19$m=19456,t=2,p=1$M01knOTN4d5hhR3nMdrn4g$5a0GhE"
    "/0HyowDr35u3pjULgDscoI3P5+YkxN9dmqzGM"
)


log = logging.getLogger(__name__)


class HashingBusy(HubError):
    """Too many passwords are checked at this moment: this one is to come again."""


class HashingPlaces:
    """Places of a process for attempts at a password, and turns to hash.

    At most `places` attempts are under way, each of them in a thread; at most `turns` of these hash
    at one moment, each on a core. An attempt waits for `within_s` seconds and is refused then.
    """

    def __init__(self, places: int, turns: int, *, within_s: float = WITHIN_S) -> None:
        self._places = threading.Semaphore(places)
        self._turns = threading.Semaphore(turns)
        self._within_s = within_s
        self._said_at_s = -_SAY_EVERY_S

    @contextmanager
    def place(self) -> Iterator[Callable[[], AbstractContextManager[None]]]:
        """Hold a place; yield a function whose context is a turn to hash.

        Raises:
            HashingBusy: no place, or no turn, became free in time.
        """
        if not self._places.acquire(timeout=self._within_s):
            raise self._refusal()
        try:
            yield self._turn
        finally:
            self._places.release()

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if not self._turns.acquire(timeout=self._within_s):
            raise self._refusal()
        try:
            yield
        finally:
            self._turns.release()

    def _refusal(self) -> HashingBusy:
        at_s = time.monotonic()
        if at_s - self._said_at_s >= _SAY_EVERY_S:
            self._said_at_s = at_s
            log.warning("sign-ins are refused for a moment: too many passwords come at once")
        return HashingBusy("too many passwords are being checked at this moment")


def places_for(threads: int, processes: int) -> HashingPlaces:
    """Return the places of one of several processes: half of its threads, and of the cores."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    turns = max(1, (cores or 1) // (2 * processes))
    return HashingPlaces(max(1, threads // 2), turns, within_s=WITHIN_S)


def hash_password(password: str) -> str:
    """Return a hash that contains its salt and cost parameters."""
    return _hasher.hash(_bytes(password))


def is_password(password: str, password_hash: str | None) -> bool:
    """Return whether a password matches a hash; without a hash, False after the same time."""
    try:
        _hasher.verify(password_hash or NOBODYS, _bytes(password[: LONGEST + 1]))
    except (VerificationError, InvalidHashError):
        return False
    return password_hash is not None


def is_outdated(password_hash: str) -> bool:
    """Return whether a hash has other cost parameters than the current ones."""
    return _hasher.check_needs_rehash(password_hash)


def _bytes(password: str) -> bytes:
    """Return the bytes of a password, normalized (NFKC) so that keyboards make no difference."""
    return unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")
