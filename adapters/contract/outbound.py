"""What a provider that the hub calls promises: its actions, and how each answer is to be read."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar, Protocol

from marshmallow import Schema


class Effect(StrEnum):
    """What protects an action from happening twice."""

    KEYED = "keyed"  # the provider honours a key: the same key and bytes again
    NATURAL = "natural"  # repeating is harmless
    AT_MOST_ONCE = "at_most_once"  # nothing does: the ledger alone


class Verdict(StrEnum):
    """What is known about a call once it is over."""

    SUCCEEDED = "succeeded"
    NOT_PROCESSED = "not_processed"  # certainly without effect: may be tried again
    PERMANENT = "permanent"  # refused in a way that a retry cannot mend
    BLOCKED = "blocked"  # the account is refused (401, 403): not this delivery's fault
    IN_DOUBT = "in_doubt"  # may have been processed


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one call ended. `message` is for a person; it never holds a secret or a body of ours.

    `found` is what the action `fetch` brought.
    """

    verdict: Verdict
    message: str = ""
    status: int | None = None
    code: str | None = None
    provider_ref: str | None = None
    retry_after_s: float | None = None
    found: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What the far end answered. `headers` has lower-case names."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Transport(Protocol):
    """The one way out. It follows no redirect and never retries."""

    def send(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes = b""
    ) -> Answer:
        """Return the whole answer, whatever its status.

        Raises:
            NotSent: no byte of the request was written.
            AnswerLost: the request may have been processed.
        """


@dataclass(frozen=True, slots=True)
class Action:
    """One thing a destination can do: its parameters' schema and its class.

    `key_life_s`: seconds after the first try in which the provider still honours a key; None is for
    ever. `supports_lookup`: `look_up` can find it; `matched_by_content`: by the content that was
    sent and not by the hub's token. `ask_after_s`: seconds after a call of unknown outcome until a
    person is asked, when no evidence came (e-mail may take a day). `internal`: the hub's own, no
    route may name it. `phone`: the parameter with the number that it texts or calls, E.164, perhaps
    after the name of a channel (`whatsapp:+1...`); None if it reaches no telephone.
    """

    effect: Effect
    parameters: type[Schema]
    key_life_s: float | None = None
    supports_lookup: bool = False
    ask_after_s: float = 900.0
    internal: bool = False
    phone: str | None = None
    matched_by_content: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """One action to perform now.

    `key` is the delivery's key, the same on every attempt of keyed and natural actions: it
    travels as `hub_delivery`. `attempt_id` (`<delivery>.<number of the attempt>`) is this attempt's
    own and travels as `hub_attempt` where nothing but the ledger protects the action. `now` is
    aware UTC, for signing.
    """

    action: str
    parameters: Mapping[str, Any]
    key: str
    attempt_id: str
    now: datetime


@dataclass(frozen=True, slots=True)
class Probe:
    """What one cheap read call told about the credentials; `message` says what to mend."""

    ok: bool
    message: str


class LookupVerdict(StrEnum):
    """What a look-up saw of a call whose answer was lost."""

    THERE = "there"
    NOT_THERE = "not_there"
    CANNOT_TELL = "cannot_tell"


@dataclass(frozen=True, slots=True)
class LookupResult:
    """What a look-up saw; `message` is the evidence, for a person: no address, no body."""

    verdict: LookupVerdict
    message: str
    provider_ref: str | None = None
    status: str | None = None


class Outbound(ABC):
    """One destination's adapter, made once from its settings and used by many threads at once."""

    name: ClassVar[str]
    # The destination's keys beside those that every destination has.
    settings_schema: ClassVar[type[Schema]]
    # The keys without which it can only play in the sandbox; `a|b` asks for either of two.
    credentials: ClassVar[tuple[str, ...]]
    # The keys whose values must never be shown.
    secrets: ClassVar[tuple[str, ...]] = ()
    actions: ClassVar[Mapping[str, Action]]
    # The inbound adapter that takes its status callbacks; `settings["callback_url"]` is then the
    # public address of the source that does, when there is one.
    calls_back: ClassVar[str | None] = None

    @abstractmethod
    def __init__(self, settings: Mapping[str, Any], transport: Transport) -> None:
        """Take the settings as `settings_schema` loaded them (with `base_url`, when given)."""

    @abstractmethod
    def perform(self, call: Call) -> Outcome:
        """Make the call and say how it ended.

        Raises:
            InvalidParameters: they cannot be sent; nothing was.
            AccountRefused: there is no access token; nothing was sent.
            TransportError: there was no answer.
        """

    @abstractmethod
    def probe(self) -> Probe:
        """Make one cheap read call that tells whether the credentials are good.

        Raises:
            TransportError: there was no answer.
        """

    @classmethod
    def missing(cls, settings: Mapping[str, Any]) -> list[tuple[str, ...]]:
        """Return which credentials are not there, each as the keys of which one would do."""
        wanted = [tuple(either.split("|")) for either in cls.credentials]
        return [
            either
            for either in wanted
            if not any(str(settings.get(key) or "").strip() for key in either)
        ]

    def look_up(self, call: Call, sent_at: datetime) -> LookupResult:
        """Return whether the provider has what `call`, first sent at that time, would have made.

        Only reads. `NOT_THERE` is for a list that would have it if it existed.

        Raises:
            AdapterError: it cannot be seen now.
        """
        return LookupResult(LookupVerdict.CANNOT_TELL, "there is no way to look it up")

    def sandbox_answer(self, method: str, url: str) -> Answer:
        """Return what the provider would answer to a good call; used instead of sending."""
        return Answer(200, {"content-type": "application/json"}, b'{"id": "sandbox"}')
