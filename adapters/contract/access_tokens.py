"""Access tokens that live for minutes or hours: asked for when needed, kept in memory, renewed."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Lock

# How long before its end a token is not used any more.
EARLY = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Grant:
    """A token, until when it is good, and where it is to be used if its issuer said so."""

    token: str = field(repr=False)
    expires_at: datetime
    base_url: str | None = None


class AccessTokens:
    """The token of one destination, shared by its threads; `ask(now)` gets a new one.

    `ask` raises AccountRefused when the credentials are bad, and NotSent when no answer came:
    asking for a token has no effect on anything.
    """

    def __init__(self, ask: Callable[[datetime], Grant]) -> None:
        self._ask = ask
        self._lock = Lock()
        self._grant: Grant | None = None

    def current(self, now: datetime) -> Grant:
        """Return a token that is good for a minute at least."""
        with self._lock:
            if self._grant is None or self._grant.expires_at - EARLY <= now:
                self._grant = self._ask(now)
            return self._grant

    def renewed(self, refused: Grant, now: datetime) -> Grant:
        """Return another token than the one that was refused, asking only if nobody has yet."""
        with self._lock:
            if self._grant is None or self._grant.token == refused.token:
                self._grant = self._ask(now)
            return self._grant
