"""What a provider that sends webhooks promises: verify, parse, reply, and a sample of its own.

Some promise more: to echo a challenge (`handshake`), to finish an event whose webhook says too
little (`complete`), and to list what was sent while nobody listened (`list_since`).
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
    """What the provider wants to hear once its webhook is stored. Always 2xx."""

    status: int = 200
    body: bytes = b""
    content_type: str | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """A webhook as the provider would send it: signed, and with an id of its own.

    `path_secret` is what its address ends with, for senders that cannot sign.
    """

    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    path_secret: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class ListedRecord:
    """One record that the provider keeps, as its webhook would have brought it; not signed.

    `sure`: it has the id or fact key of that webhook. What has not may be a fact that came
    already: nobody takes it in unless a person asks.
    """

    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    sure: bool = True


class Inbound(ABC):
    """One source's adapter, made once from its settings and used by many threads at once.

    Pure: bytes in, events out. It has no clock (`received_at` is the time), no network, no state.
    """

    name: ClassVar[str]
    # The source's keys beside those that every source has.
    settings_schema: ClassVar[type[Schema]]
    # The provider's types that have a canonical one.
    native_types: ClassVar[Mapping[str, str]]
    # Types kept as `<provider>.<native>` on purpose, each with the reason.
    ignored_types: ClassVar[Mapping[str, str]]
    # The settings that hold secrets: a text, a list of texts, or a mapping to texts.
    secret_keys: ClassVar[tuple[str, ...]] = ("secrets",)
    # Whether its senders may prove themselves by `/webhooks/<source>/<secret>`.
    takes_path_secret: ClassVar[bool] = False
    # Whether people post to it, at `/forms/<source>`, and not a provider at `/webhooks/`.
    takes_forms: ClassVar[bool] = False
    # The longest body that it takes unless the source says otherwise: see `longest_body`.
    max_bytes: ClassVar[int] = 1024 * 1024
    # The outbound adapter whose destination has the credentials to fetch and to list with.
    account: ClassVar[str | None] = None
    # What a person does at the provider, step by step, with the source's address before them.
    setup: ClassVar[tuple[str, ...]] = (
        "Paste the address above where the sender asks for a webhook or callback address.",
        "Let it send JSON by POST, and sign what it sends.",
        "Put the secret it signs with into this source in hub.yaml, and restart the hub.",
    )
    # Whether `list_since` can list the provider's records.
    lists: ClassVar[bool] = False

    @abstractmethod
    def __init__(self, settings: Mapping[str, Any]) -> None:
        """Take the settings as `settings_schema` loaded them."""

    @classmethod
    def longest_body(cls, settings: Mapping[str, Any]) -> int:
        """Return how many bytes it takes with these settings; they may lack what was wrong."""
        return cls.max_bytes

    @abstractmethod
    def verify(self, request: InboundRequest) -> str:
        """Return the label of the secret that signed it (`secrets[0]`), never its value.

        Raises:
            NotVerified: whatever is wrong with the headers, time or signature.
        """

    @abstractmethod
    def parse(self, request: InboundRequest) -> Sequence[Event]:
        """Return the events of a verified request, at least one.

        Raises:
            Unreadable: no event can be made of it.
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

    def reply(self, events: Sequence[Event]) -> Reply:
        """Return what the provider wants to hear; `events` is empty for what was unreadable."""
        return Reply()

    def handshake(self, request: InboundRequest) -> Reply | None:
        """Return the answer to a request that only asks whether this address is ours, or None.

        It is asked before `verify`, for GET too; what it answers is not stored.

        Raises:
            NotVerified: it is a handshake, and it does not prove who sent it.
        """
        return None

    def complete(self, event: Event, found: Mapping[str, Any]) -> Event:
        """Return an incomplete event with what the account's action `fetch` found.

        `external_id` and `occurred_at` stay as they were.

        Raises:
            Unreadable: what was found is not what was asked for.
        """
        raise Unreadable(f"{self.name} has no incomplete events")

    @property
    def can_list(self) -> bool:
        """Whether its own settings suffice for `list_since`, the account's aside."""
        return self.lists

    def list_since(
        self, since: datetime, now: datetime, transport: Transport, account: Mapping[str, Any]
    ) -> Iterator[ListedRecord]:
        """Yield what happened since then, oldest first if the provider can, page after page.

        `account` are the settings of the destination that `account` names, empty without one.

        Raises:
            AdapterError: the list could not be read to its end; the message says what to mend.
        """
        raise AdapterError(f"{self.name} lists nothing")
