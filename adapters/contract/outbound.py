"""Interface of outbound adapters: actions with their effect class, and outcomes of calls."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar, Protocol, runtime_checkable

from marshmallow import Schema

from adapters.contract.event import Attachment


class Effect(StrEnum):
    """Effect class of an action: the protection against performing it twice."""

    # The provider honours an idempotency key: a retry sends the same key and bytes.
    KEYED = "keyed"
    # A repetition is harmless.
    NATURAL = "natural"
    # The provider offers no protection; only the ledger prevents a second call.
    AT_MOST_ONCE = "at_most_once"


class Verdict(StrEnum):
    """Verdict on a call that has ended: whether the provider processed it."""

    SUCCEEDED = "succeeded"
    # Certainly without effect: may be retried.
    NOT_PROCESSED = "not_processed"
    # Rejected; a retry cannot succeed.
    PERMANENT = "permanent"
    # The account is refused (401, 403): not the fault of this delivery.
    BLOCKED = "blocked"
    # May have been processed.
    IN_DOUBT = "in_doubt"


@dataclass(frozen=True, slots=True)
class Outcome:
    """Outcome of one call.

    `message` is for a person; it never contains a secret or a body that the hub sent. `found` is
    the result of the action `fetch`. `called` False: the call was not begun, which says nothing
    about the destination.
    """

    verdict: Verdict
    message: str = ""
    status: int | None = None
    code: str | None = None
    provider_ref: str | None = None
    retry_after_s: float | None = None
    found: Mapping[str, Any] | None = None
    called: bool = True


@dataclass(frozen=True, slots=True)
class Answer:
    """HTTP response of the provider. `headers` has lower-case names."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Transport(Protocol):
    """Transport for all outgoing requests. It follows no redirects and never retries."""

    def send(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes = b""
    ) -> Answer:
        """Send a request and return the complete response, whatever its status.

        Raises:
            NotSent: no byte of the request was written.
            AnswerLost: the request may have been processed.
        """


@runtime_checkable
class PatientTransport(Transport, Protocol):
    """Transport that can wait, so that a call without an effect may be repeated (`answers.read`).

    Over any other transport each call is made once. `timeout_s` is the time of a whole action.
    """

    timeout_s: float

    def left_s(self) -> float:
        """Return the seconds that are left for this thread's action, 0 or more."""

    def pause(self, seconds: float) -> None:
        """Wait before a call is repeated."""


@dataclass(frozen=True, slots=True)
class Action:
    """Action of a destination: its parameter schema and its effect class.

    `key_life_s`: seconds after the first attempt for which the provider honours a key; None means
    forever. `supports_lookup`: `look_up` can find the result; `matched_by_content`: by the content
    that was sent, not by the hub's token. `ask_after_s`: seconds after a call with an unknown
    outcome until a person is asked, if no evidence has arrived (e-mail may take a day).
    `internal`: reserved for the hub; no route may name it. `phone`: the parameter that holds the
    number to text or call, in E.164, possibly after a channel prefix (`whatsapp:+1...`); None if
    the action reaches no telephone. `recipients`: all parameters that may hold a recipient of the
    e-mail that the provider then sends, each a mailbox, an id of a person that the provider knows,
    or a list of these, read by `mailboxes.recipients_in`; empty if the action lets nothing be
    mailed. `attachments`: the parameter that names files of the event, which are then given to the
    call; None if the action takes none.
    """

    effect: Effect
    parameters: type[Schema]
    key_life_s: float | None = None
    supports_lookup: bool = False
    ask_after_s: float = 900.0
    internal: bool = False
    phone: str | None = None
    recipients: tuple[str, ...] = ()
    attachments: str | None = None
    matched_by_content: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """Call of one action, to be performed now.

    `key` is the delivery's key, the same on every attempt of keyed and natural actions; it is
    sent as `hub_delivery`. `attempt_id` (`<delivery>.<number of the attempt>`) is unique to this
    attempt; it is sent as `hub_attempt` where only the ledger protects the action. `now` is aware
    UTC, for signing. `attachments` are the files of the delivery's event, if the action takes files
    and its parameters name any: `parameters` are stored, and have their names alone.
    """

    action: str
    parameters: Mapping[str, Any]
    key: str
    attempt_id: str
    now: datetime
    attachments: Sequence[Attachment] = ()


@dataclass(frozen=True, slots=True)
class Probe:
    """Result of checking the credentials by one cheap read call; `message` says how to fix them."""

    ok: bool
    message: str


class LookupVerdict(StrEnum):
    """Verdict of a look-up: whether a call with an unknown outcome took effect."""

    THERE = "there"
    NOT_THERE = "not_there"
    CANNOT_TELL = "cannot_tell"


@dataclass(frozen=True, slots=True)
class LookupResult:
    """Result of a look-up; `message` is the evidence for a person: no address, no body."""

    verdict: LookupVerdict
    message: str
    provider_ref: str | None = None
    status: str | None = None


class Outbound(ABC):
    """Adapter of one destination: built once from its settings and shared by many threads."""

    name: ClassVar[str]
    # Schema of the destination's keys, besides those that every destination has.
    settings_schema: ClassVar[type[Schema]]
    # Keys without which the destination runs in the sandbox only; `a|b` requires either of two.
    credentials: ClassVar[tuple[str, ...]]
    # Keys whose values must never be shown.
    secrets: ClassVar[tuple[str, ...]] = ()
    actions: ClassVar[Mapping[str, Action]]
    # Name of the inbound adapter that receives its status callbacks. `settings["callback_url"]` is
    # then the public URL of a source with that adapter, if there is one.
    calls_back: ClassVar[str | None] = None

    @abstractmethod
    def __init__(self, settings: Mapping[str, Any], transport: Transport) -> None:
        """Initialize with settings that `settings_schema` loaded (and `base_url`, if given)."""

    @abstractmethod
    def perform(self, call: Call) -> Outcome:
        """Make the call and return its outcome.

        Raises:
            InvalidParameters: the parameters cannot be sent; nothing was sent.
            AccountRefused: no access token is available; nothing was sent.
            TransportError: there was no response.
        """

    @abstractmethod
    def probe(self) -> Probe:
        """Check the credentials by one cheap read call.

        Raises:
            TransportError: there was no response.
        """

    @classmethod
    def missing(cls, settings: Mapping[str, Any]) -> list[tuple[str, ...]]:
        """Return the missing credentials, each as the tuple of keys of which any one suffices."""
        wanted = [tuple(either.split("|")) for either in cls.credentials]
        return [
            either
            for either in wanted
            if not any(str(settings.get(key) or "").strip() for key in either)
        ]

    def look_up(self, call: Call, sent_at: datetime) -> LookupResult:
        """Look up at the provider whether `call`, first sent at `sent_at`, took effect.

        Read-only. `NOT_THERE` requires a list that would contain the result if it existed.

        Raises:
            AdapterError: the look-up cannot be made now.
        """
        return LookupResult(LookupVerdict.CANNOT_TELL, "there is no way to look it up")

    def sandbox_answer(self, method: str, url: str) -> Answer:
        """Return the provider's response to a valid call, for use in the sandbox."""
        return Answer(200, {"content-type": "application/json"}, b'{"id": "sandbox"}')
