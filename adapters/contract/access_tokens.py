"""Short-lived access tokens: requested on demand, cached in memory, renewed before they expire."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Lock

# Time before its expiry at which a token is no longer used.
EARLY = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Grant:
    """Access token with its expiry, and the base URL to use it at if the issuer named one."""

    token: str = field(repr=False)
    expires_at: datetime
    base_url: str | None = None


class AccessTokens:
    """Token cache of one destination, shared by its threads; `ask(now)` requests a new token.

    `ask` raises AccountRefused if the credentials are rejected, and NotSent if no response came.
    It may repeat its request, as `answers.read` does: the credentials stay valid, and a token that
    was issued in a lost response is one more. Not so where each grant replaces the refresh token
    (RFC 6749, 6): after a lost response the old one may be void, and the new one is unknown, so
    such a request must be sent once and its loss reported.
    """

    def __init__(self, ask: Callable[[datetime], Grant]) -> None:
        self._ask = ask
        self._lock = Lock()
        self._grant: Grant | None = None

    def current(self, now: datetime) -> Grant:
        """Return a token that is valid for at least one more minute."""
        with self._lock:
            if self._grant is None or self._grant.expires_at - EARLY <= now:
                self._grant = self._ask(now)
            return self._grant

    def renewed(self, refused: Grant, now: datetime) -> Grant:
        """Return a token other than the refused one; request it unless another thread has."""
        with self._lock:
            if self._grant is None or self._grant.token == refused.token:
                self._grant = self._ask(now)
            return self._grant
