"""Interface of inbound adapters: verify and parse webhooks, reply to them, build samples.

Optional parts: echo a challenge (`handshake`), complete an event whose webhook carries too little
data (`complete`), and list webhooks that were sent while the hub was unreachable (`list_since`).
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar

from marshmallow import Schema

from adapters.contract.errors import AdapterError, Unreadable
from adapters.contract.event import Event
from adapters.contract.outbound import Transport
from adapters.contract.request import InboundRequest


@dataclass(frozen=True, slots=True)
class Reply:
    """Response that the provider expects once its webhook is stored. Always 2xx."""

    status: int = 200
    body: bytes = b""
    content_type: str | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """Sample webhook as the provider would send it: signed, and with an id of its own.

    `path_secret` is the last path segment of its URL, for senders that cannot sign.
    """

    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    path_secret: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class ListedRecord:
    """Record from a provider's list, in the form of the webhook that reported it; not signed.

    `sure`: it has the id or fact key of that webhook. Any other record may duplicate an event
    that is already stored: it is ingested only at a person's request.
    """

    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    sure: bool = True


class Inbound(ABC):
    """Adapter of one source: built once from its settings and shared by many threads.

    Pure: bytes in, events out. It has no clock (`received_at` is the time), no network, no state.
    """

    name: ClassVar[str]
    # Schema of the source's keys, besides those that every source has.
    settings_schema: ClassVar[type[Schema]]
    # Native types that have a canonical type: native to canonical.
    native_types: ClassVar[Mapping[str, str]]
    # Native types kept as `<provider>.<native>` on purpose: native type to the reason.
    ignored_types: ClassVar[Mapping[str, str]]
    # Settings that hold secrets: each is a string, a list of strings, or a mapping to strings.
    secret_keys: ClassVar[tuple[str, ...]] = ("secrets",)
    # Whether senders may authenticate by a secret in the path: `/webhooks/<source>/<secret>`.
    takes_path_secret: ClassVar[bool] = False
    # Whether browsers post to it at `/forms/<source>`, instead of a provider at `/webhooks/`.
    takes_forms: ClassVar[bool] = False
    # Default maximum size of a body, in bytes; a source may set another: see `longest_body`.
    max_bytes: ClassVar[int] = 1024 * 1024
    # Name of the outbound adapter whose destination has the credentials to fetch and list.
    account: ClassVar[str | None] = None
    # Steps for the operator to set up the provider; the source's URL is shown above them.
    setup: ClassVar[tuple[str, ...]] = (
        "Paste the address above where the sender asks for a webhook or callback address.",
        "Let it send JSON by POST, and sign what it sends.",
        "Put the secret it signs with into this source in hub.yaml, and restart the hub.",
    )
    # Whether the adapter implements `list_since`.
    lists: ClassVar[bool] = False

    @abstractmethod
    def __init__(self, settings: Mapping[str, Any]) -> None:
        """Initialize the adapter with settings that `settings_schema` loaded."""

    @classmethod
    def longest_body(cls, settings: Mapping[str, Any], max_bytes: int | None = None) -> int:
        """Return the maximum size of a body in bytes; `settings` may lack keys that are invalid.

        `max_bytes` is the source's own, None if hub.yaml has none.
        """
        return cls.max_bytes if max_bytes is None else max_bytes

    @abstractmethod
    def verify(self, request: InboundRequest) -> str:
        """Return the label of the secret that signed the request (`secrets[0]`), never its value.

        Raises:
            NotVerified: a header, the time or the signature is missing or wrong.
        """

    @abstractmethod
    def parse(self, request: InboundRequest) -> Sequence[Event]:
        """Return the events of a verified request, at least one.

        Raises:
            Unreadable: no event can be built from it.
        """

    @abstractmethod
    def sample(
        self, native_type: str, external_id: str, now: datetime, *, live: bool, url: str
    ) -> Sample:
        """Return a signed webhook of that type, as the provider would send it to `url` at `now`.

        `external_id` becomes the event's id, or as much of it as the provider's own form allows;
        two different ones give two different events. A provider without a test mode ignores `live`.

        Raises:
            LookupError: there is no sample of that type; the message lists those that exist.
        """

    @abstractmethod
    def sample_types(self) -> Sequence[str]:
        """Return the native types that `sample` knows, the most useful one first."""

    def stored(self, request: InboundRequest) -> InboundRequest:
        """Return a request as it is stored, verified or not: unchanged, if it may be signed.

        Storing the result of `stored` again changes nothing, and `parse` gives the same events.

        Raises:
            Unreadable: it cannot be told what of its body may be kept.
        """
        return request

    def reply(self, events: Sequence[Event]) -> Reply:
        """Return the response to the provider; `events` is empty if the request was unreadable."""
        return Reply()

    def handshake(self, request: InboundRequest) -> Reply | None:
        """Return the response to a handshake (a check that this URL is the hub's), or None.

        Called before `verify`, also for GET requests. A request that it answers is not stored.

        Raises:
            NotVerified: the request is a handshake, but its sender is not authenticated.
        """
        return None

    def complete(self, event: Event, found: Mapping[str, Any]) -> Event:
        """Return an incomplete event, completed with the result of the account's action `fetch`.

        `external_id` and `occurred_at` stay unchanged.

        Raises:
            Unreadable: the result is not the object that was asked for.
        """
        raise Unreadable(f"{self.name} has no incomplete events")

    @property
    def unsigned(self) -> tuple[str, ...]:
        """Settings whose value is in a part of the request that nobody signs: `id`, `type`."""
        return ()

    @property
    def untimed(self) -> str:
        """Requests that carry no time, in words; empty if there are none.

        The same one under another id counts as a new event after `UNTIMED_WINDOW_S`.
        """
        return ""

    @property
    def can_list(self) -> bool:
        """Whether the source's settings suffice for `list_since`, apart from the account's."""
        return self.lists

    def list_since(
        self, since: datetime, now: datetime, transport: Transport, account: Mapping[str, Any]
    ) -> Iterator[ListedRecord]:
        """Yield the records since `since` page by page, oldest first if the provider supports it.

        The argument `account` holds the settings of the destination whose adapter the attribute
        `account` names; it is empty without one.

        Raises:
            AdapterError: the list could not be read to its end; the message says how to fix it.
        """
        raise AdapterError(f"{self.name} lists nothing")
