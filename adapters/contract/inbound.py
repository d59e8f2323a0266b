"""What a provider that sends webhooks promises: verify, parse, reply, and a sample of its own."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar

from marshmallow import Schema

from adapters.contract.event import Event
from adapters.contract.request import InboundRequest


@dataclass(frozen=True, slots=True)
class Reply:
    """What the provider wants to hear once its webhook is stored. Always 2xx."""

    status: int = 200
    body: bytes = b""
    content_type: str | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """A webhook as the provider would send it: signed, and with an id of its own."""

    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class Inbound(ABC):
    """One source's adapter, made once from its settings and used by many threads at once.

    Pure: bytes in, events out. It has no clock (`received_at` is the time), no network, no state.
    """

    name: ClassVar[str]
    settings_schema: ClassVar[type[Schema]]
    """The source's keys beside those that every source has."""
    native_types: ClassVar[Mapping[str, str]]
    """The provider's types that have a canonical one."""
    ignored_types: ClassVar[Mapping[str, str]]
    """Types kept as `<provider>.<native>` on purpose, each with the reason."""
    takes_path_secret: ClassVar[bool] = False
    """Whether its senders may prove themselves by `/webhooks/<source>/<secret>`."""

    @abstractmethod
    def __init__(self, settings: Mapping[str, Any]) -> None:
        """Take the settings as `settings_schema` loaded them."""

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
    def sample(self, native_type: str, external_id: str, now: datetime, *, live: bool) -> Sample:
        """Return a signed webhook of that type, as the provider would send it at `now`.

        `external_id` becomes the event's id, with the provider's own prefix if it lacks one.

        Raises:
            LookupError: there is no sample of that type; the message lists those that exist.
        """

    @abstractmethod
    def sample_types(self) -> Sequence[str]:
        """Return the native types that `sample` knows, the most useful one first."""

    def reply(self, events: Sequence[Event]) -> Reply:
        """Return what the provider wants to hear; `events` is empty for what was unreadable."""
        return Reply()
