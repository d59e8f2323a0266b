"""Connection to Stripe by its Python library, `stripe.StripeClient`, over the hub's transport.

**Docs**: https://github.com/stripe/stripe-python · https://docs.stripe.com/api/pagination

The library names the paths, encodes the parameters, pages through lists and raises an error of its
own class for each refusal. It is looser than the hub may be; here stands what is checked before it:

- It retries: `max_network_retries` is 0, since only the ledger may send again. What only reads is
  repeated by the hub's own policy (`answers.read`).
- It gives a write without an idempotency key a random one, which no later attempt could repeat.
- It sends this machine's platform and an id that it keeps in the home directory: neither is made,
  and of its headers only those that Stripe needs go out.
- Its errors quote answers, and lack the headers of an answer that it cannot read.
- A list whose end is missing looks complete to it, and it goes on at the `url` that the answer
  gives.
- Its objects have decimals where the answer has texts, and building them fails with any exception
  where a field has an unexpected shape: even after a write that Stripe confirmed. So the objects
  are the JSON of the answer, of which the library is given what it needs: the ids by which it turns
  pages, and the plain fields of an error.
"""

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs

import stripe

from adapters.contract.answers import read, read_object
from adapters.contract.errors import InvalidParameters, NotSent, TransportError
from adapters.contract.outbound import Answer, Transport
from adapters.stripe.answers import ending
from adapters.stripe.api import Listing, ListTooLong, Native, StripeAccount

# The library has this switch for the whole process alone.
stripe.enable_telemetry = False
# At lower levels it logs URLs and bodies.
logging.getLogger("stripe").setLevel(logging.WARNING)

_SENT = frozenset(
    "authorization content-type idempotency-key stripe-account stripe-context stripe-version"
    .split()
)  # fmt: skip


class GuardedClient(stripe.HTTPClient):
    """HTTP client of the library that sends through a transport and checks each answer.

    `told` is the object of the last answer, and `listed` the objects of the last page, by their
    ids.
    """

    name = "hub"

    def __init__(
        self, transport: Transport, base_url: str, pages_at_most: int | None = None
    ) -> None:
        super().__init__()
        self._transport = transport
        self._base_url = base_url
        self._pages_left = pages_at_most
        self._key: str | None = None
        self.told: Native = {}
        self.listed: Mapping[str, Native] = {}

    def expect(self, key: str | None) -> None:
        """Expect a write with this idempotency key, or with None a request that only reads."""
        self._key = key
        self.told = {}

    def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None,
        post_data: Any = None,
        **_: Any,
    ) -> tuple[str, int, Mapping[str, str]]:
        """Send a request; return what the library may read of the answer, its status and headers.

        Raises:
            APIConnectionError: there was no answer; its cause is a NotSent or AnswerLost.
            APIError: the answer is not what Stripe promises.
            ListTooLong: this would be one page more than is to be read.
        """
        sent = {name.lower(): text for name, text in (headers or {}).items()}
        sent = {name: text for name, text in sent.items() if name in _SENT}
        if sent.get("idempotency-key") != self._key:
            raise ValueError("the idempotency key is not the hub's")
        path, _mark, query = url.removeprefix(self._base_url).partition("?")
        asked = parse_qs(query)
        if "limit" in asked:
            self._turn_page()
        answer = self._sent(method.upper(), url, sent, (post_data or "").encode("ascii"))
        if not 200 <= answer.status < 300:
            shown = _refusal(answer)
        elif "limit" in asked:
            shown = self._page(answer, path, asked.get("starting_after", [None])[0])
        else:
            shown = self._object(answer, is_write=method == "post")
        return json.dumps(shown), answer.status, dict(answer.headers)

    def _sent(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        try:
            if self._key is None:
                return read(self._transport, url, headers=headers, method=method, body=body)
            return self._transport.send(method, url, headers=headers, body=body)
        except TransportError as error:
            # Without leave to retry, which is the default.
            unanswered: Callable[[str], stripe.APIConnectionError] = stripe.APIConnectionError
            raise unanswered("there was no answer") from error

    def _object(self, answer: Answer, *, is_write: bool) -> Native:
        told = read_object(answer)
        native_id = (told or {}).get("id")
        if told is None or (is_write and not isinstance(native_id, str)):
            raise _unlike(answer, "not with an object that we can read")
        self.told = told
        return {"id": native_id} if isinstance(native_id, str) else {}

    def _turn_page(self) -> None:
        if self._pages_left is not None:
            if self._pages_left == 0:
                raise ListTooLong("the list has more pages than are read")
            self._pages_left -= 1

    def _page(self, answer: Answer, path: str, after: str | None) -> Native:
        told = read_object(answer) or {}
        data, more = told.get("data"), told.get("has_more")
        found = [one for one in data if isinstance(one, dict)] if isinstance(data, list) else []
        ids = [one["id"] for one in found if isinstance(one.get("id"), str)]
        is_whole = isinstance(data, list) and len(ids) == len(data) and isinstance(more, bool)
        # A list that cannot be read to its end must not look complete.
        if not is_whole or (more and (not ids or ids[-1] in ("", after))):
            raise _unlike(answer, f"not with a list of {path} that we can read")
        self.listed = dict(zip(ids, found, strict=True))
        data = [{"id": native_id} for native_id in ids]
        return {"object": "list", "url": path, "has_more": more, "data": data}


class Connection:
    """Connection of one action: each call returns the object of the answer, or raises its end."""

    def __init__(self, account: StripeAccount, transport: Transport, now: datetime) -> None:
        self._account = account
        self._transport = transport
        self._now = now
        self._http = GuardedClient(transport, account.base_url)
        self._client = self._open(self._http)
        self.v1 = self._client.v1

    def read(self, method: Callable[..., object], native_id: str) -> Native:
        """Return the object that a method of the library retrieves."""
        return self._told(lambda: method(native_id), key=None)

    def read_path(self, path: str) -> Native:
        """Return the object at a path."""
        return self._told(lambda: self._client.raw_request("get", path), key=None)

    def write(
        self, method: Callable[..., object], parameters: Mapping[str, Any], key: str
    ) -> Native:
        """Return the object that a method of the library made."""
        return self._told(lambda: method(dict(parameters), {"idempotency_key": key}), key=key)

    def objects(self, listing: Listing) -> Iterator[Native]:
        """Yield the objects of a list, page after page.

        Each list has a client of its own, so that two may be read in turn.
        """
        http = GuardedClient(self._transport, self._account.base_url, listing.pages_at_most)
        pages = listing.of(self._open(http).v1)
        with self._endings(reading=True):
            for one in pages(listing.parameters).auto_paging_iter():
                yield http.listed[one["id"]]

    def _told(self, request: Callable[[], object], key: str | None) -> Native:
        self._http.expect(key)
        with self._endings(reading=key is None):
            request()
        return self._http.told

    @contextmanager
    def _endings(self, *, reading: bool) -> Iterator[None]:
        """Turn the library's errors into ends of the action, without their texts."""
        try:
            yield
        except stripe.APIConnectionError as error:
            lost = error.__cause__
            if not isinstance(lost, TransportError):
                raise
            if reading:
                raise NotSent(str(lost)) from lost
            raise lost from lost.__cause__
        except stripe.StripeError as error:
            secret = self._account.api_key
            raise ending(error, now=self._now, secret=secret, reading=reading) from None
        except UnicodeEncodeError:
            raise InvalidParameters({"parameters": "cannot be written as UTF-8"}) from None

    def _open(self, http: stripe.HTTPClient) -> stripe.StripeClient:
        account = self._account
        return stripe.StripeClient(
            account.api_key,
            stripe_account=account.connected,
            stripe_context=account.context,
            stripe_version=account.version,
            base_addresses={"api": account.base_url},
            max_network_retries=0,
            http_client=http,
        )


def _refusal(answer: Answer) -> Native:
    error = (read_object(answer) or {}).get("error")
    if not isinstance(error, dict):
        raise _unlike(answer, None)
    plain = {name: value for name, value in error.items() if isinstance(value, str | int | float)}
    return {"error": plain}


def _unlike(answer: Answer, words: str | None) -> stripe.APIError:
    return stripe.APIError(words, http_status=answer.status, headers=dict(answer.headers))
