"""Stripe's API on behalf of one account: reads, idempotent writes and lists.

**Docs**: https://docs.stripe.com/api · https://docs.stripe.com/api/idempotent_requests ·
https://docs.stripe.com/api/connected-accounts

Stripe's Python library builds the requests and reads the answers (`adapters.stripe.client`). It is
loaded with the first `Api`: it takes 14 MB, and the processes that only know which actions there
are call nothing.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from adapters.contract.errors import AdapterError
from adapters.contract.outbound import Outcome, Transport

if TYPE_CHECKING:
    import stripe

# The version for which the parameters sent and the fields read here were written: the library's.
API_VERSION = "2026-10-28.endive"

Native = dict[str, Any]

_BASE_URL = "https://api.stripe.com"


class Unfinished(AdapterError):
    """Answer that ends an action early; `outcome` is the outcome that it gives the action.

    `is_stuck`: Stripe repeats this 5xx for the same key, whether or not it had an effect.
    `key_is_taken`: Stripe keeps a request with other parameters under this key.
    """

    def __init__(
        self, outcome: Outcome, *, is_stuck: bool = False, key_is_taken: bool = False
    ) -> None:
        self.outcome = outcome
        self.is_stuck = is_stuck
        self.key_is_taken = key_is_taken
        super().__init__(outcome.message)


class ListTooLong(AdapterError):
    """List that has more pages than were to be read."""


@dataclass(frozen=True, slots=True)
class StripeAccount:
    """Credentials, base URL and API version of a Stripe account.

    At most one of `connected` (`Stripe-Account`) and `context` (`Stripe-Context`) is given.
    """

    api_key: str = field(repr=False)
    base_url: str = _BASE_URL
    version: str = API_VERSION
    connected: str | None = None
    context: str | None = None

    def acting(self, context: str) -> "StripeAccount":
        """Return this account in the context of another (`Stripe-Context` of a thin event)."""
        return replace(self, connected=None, context=context)

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> "StripeAccount":
        """Return the account of a destination's settings (`api_key`, `account`, `api_version`)."""
        return cls(
            (settings.get("api_key") or "").strip(),
            (settings.get("base_url") or _BASE_URL).rstrip("/"),
            settings.get("api_version") or API_VERSION,
            settings.get("account") or None,
        )


@dataclass(frozen=True, slots=True)
class Listing:
    """List of Stripe's, newest first.

    `of` returns the library's method that lists. `after` is the id of the object after which the
    list begins. The page size `page` keeps an answer under 1 MiB. A list of more than
    `pages_at_most` pages is too long; None reads any list to its end.
    """

    of: Callable[["stripe.V1Services"], Callable[..., "stripe.ListObject[Any]"]]
    filters: Mapping[str, Any] = field(default_factory=dict)
    page: int = 100
    after: str | None = None
    pages_at_most: int | None = None

    @property
    def parameters(self) -> dict[str, Any]:
        """Query parameters of the first page."""
        cursor = {"starting_after": self.after} if self.after else {}
        return {**self.filters, "limit": self.page, **cursor}


class Api:
    """API calls of one action: each returns the object that Stripe answered, or ends the action.

    Methods of the library are reached by `v1` (`api.v1.refunds.create`). Every call may raise
    Unfinished and NotSent; `make` and `write` may also raise AnswerLost. Not thread-safe.
    """

    def __init__(self, account: StripeAccount, transport: Transport, now: datetime) -> None:
        from adapters.stripe.client import Connection

        self._account = account
        self._transport = transport
        self._now = now
        self._connection = Connection(account, transport, now)

    def acting(self, context: str) -> "Api":
        """Return the calls of the same action in the context of another account."""
        return Api(self._account.acting(context), self._transport, self._now)

    @property
    def v1(self) -> "stripe.V1Services":
        """Resources of Stripe's v1 API in the library."""
        return self._connection.v1

    def read(self, method: Callable[..., object], native_id: str) -> Native:
        """Return the object that a method of the library retrieves."""
        return self._connection.read(method, native_id)

    def read_path(self, path: str) -> Native:
        """Return the object at a path of the API, of v1 or v2."""
        return self._connection.read_path(path)

    def write(
        self, method: Callable[..., object], parameters: Mapping[str, Any], key: str
    ) -> Native:
        """Return the object that a method of the library made, called with an idempotency key."""
        return self._connection.write(method, parameters, key)

    def make(
        self,
        method: Callable[..., object],
        parameters: Mapping[str, Any],
        key: str,
        read_back: Callable[[], Native | None],
    ) -> Native:
        """Return the object that this call, or an earlier one with the same key, created.

        A 5xx that Stripe repeats for the same key forever settles nothing: `read_back` looks up
        the object, which may have been created nevertheless.
        """
        try:
            return self.write(method, parameters, key)
        except Unfinished as stop:
            found = self._seen(read_back) if stop.is_stuck else None
            if found is None:
                raise
            return found

    def objects(self, listing: Listing) -> Iterator[Native]:
        """Yield the objects of a list, newest first; one page is held at a time.

        Raises:
            ListTooLong: the list has more than `pages_at_most` pages.
        """
        return self._connection.objects(listing)

    def _seen(self, read_back: Callable[[], Native | None]) -> Native | None:
        # If the look-up fails for any reason, the outcome of the write stays unknown.
        try:
            return read_back()
        except AdapterError:
            return None
