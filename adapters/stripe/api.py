"""Client for Stripe's API on behalf of one account: reads, idempotent writes and pagination.

**Docs**: https://docs.stripe.com/api · https://docs.stripe.com/api/pagination ·
https://docs.stripe.com/api/idempotent_requests · https://docs.stripe.com/api/connected-accounts

Calls go through the hub's transport, not through Stripe's Python library: the library raises where
the answer's headers are needed (was it replayed? does Stripe want a retry?), generates idempotency
keys of its own, and reports this machine's environment to Stripe.

Parameters are encoded as Stripe's v1 API takes them: a form whose field names spell out mappings
and lists. A test checks that the bytes equal those of Stripe's library (`stripe._encode`).
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from adapters.contract.answers import read, read_object
from adapters.contract.errors import AdapterError, InvalidParameters
from adapters.contract.outbound import Answer, Outcome, Transport, Verdict
from adapters.stripe.answers import Unfinished, is_stuck, judge_answer, judge_reading


def encode(parameters: Mapping[str, Any]) -> str:
    """Return the form `a[b]=c&d[0]=e`; None is left out, booleans are `true` and `false`.

    Raises:
        InvalidParameters: a text has half a character (a lone surrogate).
    """
    try:
        text = urlencode(list(_pairs(parameters)))
    except UnicodeEncodeError:
        raise InvalidParameters({"parameters": "cannot be written as UTF-8"}) from None
    return text.replace("%5B", "[").replace("%5D", "]")


def _pairs(parameters: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in parameters.items():
        yield from _named(name, value)


def _named(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _named(f"{name}[{key}]", inner)
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from _named(f"{name}[{place}]", inner)
    elif isinstance(value, bool):
        yield name, "true" if value else "false"
    elif value is not None:
        yield name, value


# The version for which the parameters sent and the fields read here were written.
API_VERSION = "2026-10-28.endive"

Native = dict[str, Any]

_BASE_URL = "https://api.stripe.com"


@dataclass(frozen=True, slots=True)
class StripeAccount:
    """Credentials, base URL and request headers of a Stripe account."""

    api_key: str = field(repr=False)
    base_url: str
    headers: Mapping[str, str] = field(repr=False)

    def ask(self, transport: Transport, path: str, parameters: Mapping[str, Any]) -> Answer:
        """Send a read-only request; return the answer, whatever its status."""
        query = encode(parameters)
        url = f"{self.base_url}{path}" + (f"?{query}" if query else "")
        return read(transport, url, headers=self.headers)

    def acting(self, context: str) -> "StripeAccount":
        """Return this account in the context of another (`Stripe-Context` of a thin event)."""
        own = {name: text for name, text in self.headers.items() if name != "stripe-account"}
        return replace(self, headers={**own, "stripe-context": context})

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> "StripeAccount":
        """Return the account of a destination's settings (`api_key`, `account`, `api_version`)."""
        key = (settings.get("api_key") or "").strip()
        headers = {
            "authorization": f"Bearer {key}",
            "stripe-version": settings.get("api_version") or API_VERSION,
        }
        if settings.get("account"):
            headers["stripe-account"] = settings["account"]
        return cls(key, (settings.get("base_url") or _BASE_URL).rstrip("/"), headers)


@dataclass(frozen=True, slots=True)
class Listing:
    """List endpoint of Stripe, newest first; the page size `page` keeps an answer under 1 MiB."""

    path: str
    filters: Mapping[str, Any] = field(default_factory=dict)
    page: int = 100

    def after(self, last_id: str | None) -> Mapping[str, Any]:
        """Return the query parameters of the page that begins after `last_id`."""
        cursor = {"starting_after": last_id} if last_id else {}
        return {**self.filters, "limit": self.page, **cursor}


@dataclass(frozen=True, slots=True)
class Api:
    """API calls of an action: each method returns Stripe's answer, or ends the action.

    Every method may raise Unfinished and NotSent; `make` and `send` may also raise AnswerLost.
    """

    account: StripeAccount
    transport: Transport
    now: datetime

    def ask(self, path: str, parameters: Mapping[str, Any]) -> Answer:
        """Send a read-only request; return the answer, whatever its status."""
        return self.account.ask(self.transport, path, parameters)

    def read(self, path: str, parameters: Mapping[str, Any] | None = None) -> Native:
        """Return the object at `path`."""
        return self.told(self.ask(path, parameters or {}))

    def told(self, answer: Answer) -> Native:
        """Return the object of an answer to a read-only request."""
        told = read_object(answer)
        if answer.status != 200 or told is None:
            raise Unfinished(judge_reading(answer, now=self.now, secret=self.account.api_key))
        return told

    def make(
        self,
        path: str,
        parameters: Mapping[str, Any],
        key: str,
        read_back: Callable[[], Native | None],
    ) -> Native:
        """Return the object that this call, or an earlier one with the same key, created."""
        return self.settled(self.send(path, parameters, key), read_back)

    def settled(self, answer: Answer, read_back: Callable[[], Native | None]) -> Native:
        """Return the object of an answer to a write.

        A 5xx that Stripe repeats for the same key forever settles nothing: `read_back` looks up
        the object, which may have been created nevertheless.
        """
        if is_stuck(answer) and (found := self._seen(read_back)) is not None:
            return found
        outcome = judge_answer(answer, now=self.now, secret=self.account.api_key)
        if outcome.provider_ref is None:
            raise Unfinished(outcome)
        return read_object(answer) or {}

    def send(self, path: str, parameters: Mapping[str, Any], key: str) -> Answer:
        """Send a write with an idempotency key; return the answer, whatever its status."""
        headers = {
            **self.account.headers,
            "content-type": "application/x-www-form-urlencoded",
            "idempotency-key": key,
        }
        body = encode(parameters).encode("ascii")
        return self.transport.send("POST", self.account.base_url + path, headers=headers, body=body)

    def pages(self, listing: Listing) -> Iterator[list[Native]]:
        """Yield the pages of a list, newest first; each has at least one object."""
        last_id: str | None = None
        while True:
            found, last_id = self.page(listing, last_id)
            if found:
                yield found
            if last_id is None:
                return

    def page(self, listing: Listing, after: str | None) -> tuple[list[Native], str | None]:
        """Return one page of a list and the cursor of the next page, None after the last."""
        told = self.read(listing.path, listing.after(after))
        data, more = told.get("data"), told.get("has_more")
        if not isinstance(data, list) or not isinstance(more, bool):
            raise self._no_list(listing)
        found = [one for one in data if isinstance(one, dict) and isinstance(one.get("id"), str)]
        last_id: str | None = found[-1]["id"] if found and more else None
        # A list that cannot be read to its end must not look complete.
        if len(found) < len(data) or (more and last_id in (None, after)):
            raise self._no_list(listing)
        return found, last_id

    def _no_list(self, listing: Listing) -> Unfinished:
        words = f"Stripe answered 200, but not with a list of {listing.path} that we can read"
        return Unfinished(Outcome(Verdict.NOT_PROCESSED, words, status=200))

    def _seen(self, read_back: Callable[[], Native | None]) -> Native | None:
        # If the look-up fails for any reason, the outcome of the write stays unknown.
        try:
            return read_back()
        except AdapterError:
            return None
