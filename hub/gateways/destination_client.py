"""Destination clients: an outbound adapter with its transport, live or sandbox.

Also reads a source's provider list (backfill) through the guarded transport, with the account's
credentials.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import orjson

from adapters import (
    Call,
    ListedRecord,
    LookupResult,
    Outbound,
    Outcome,
    Probe,
    Transport,
    TransportError,
)
from adapters.contract.strict_json import storable
from adapters.registry import outbound
from hub.core.configuration import Destination, Source
from hub.core.hub import Hub
from hub.gateways.http.sandbox import RecordingTransport
from hub.gateways.http.transport import GuardedTransport

PROBE_TIMEOUT_S = 10
TIMEOUT_S = 30
# Of one page of a provider's list: of Stripe's events it has a hundred, with up to 50 KB each.
LISTED_BYTES = 8 * 1024 * 1024
# Of one text in a request that the sandbox records, in characters.
LONGEST_RECORDED = 256 * 1024


class DestinationClient:
    """Client of one destination. Thread-safe."""

    def __init__(
        self, destination: Destination, *, allow_private: bool, public_url: str | None = None
    ) -> None:
        self.destination = destination
        self._settings = dict(destination.settings)
        if public_url and destination.callback:
            self._settings["callback_url"] = f"{public_url}/webhooks/{destination.callback}"
        self._adapter_class = outbound(destination.adapter)
        self._transport = GuardedTransport(
            timeout_s=destination.timeout_s,
            allow_private=allow_private,
            pool_size=destination.concurrency,
        )
        self.adapter = self._adapter(self._transport)

    def perform(self, call: Call) -> tuple[Outcome, dict[str, Any] | None]:
        """Make the call; return its outcome and, in the sandbox, the request that was not sent.

        Raises:
            AdapterError: see `Outbound.perform`.
        """
        if not self.destination.sandbox:
            with self._transport.one_action():
                return self.adapter.perform(call), None
        secrets = [str(self.destination.settings.get(key, "")) for key in self.adapter.secrets]
        recorder = RecordingTransport(self.adapter.sandbox_answer, secrets=secrets)
        outcome = self._adapter(recorder).perform(call)
        return outcome, _as_recorded(recorder)

    def probe(self) -> Probe:
        """Make one cheap read call that checks the credentials."""
        with self._transport.one_action():
            return self.adapter.probe()

    def look_up(self, call: Call, sent_at: datetime) -> LookupResult:
        """Look up at the provider whether a call of unknown outcome took effect.

        Raises:
            AdapterError: the look-up is not possible now.
        """
        with self._transport.one_action():
            return self.adapter.look_up(call, sent_at)

    def _adapter(self, transport: Transport) -> Outbound:
        return self._adapter_class(self._settings, transport)


def probe(destination: Destination, *, allow_private: bool) -> Probe:
    """Check an account with one cheap read call; in the sandbox, without a call."""
    adapter = outbound(destination.adapter)
    if destination.sandbox:
        missing = [either[0] for either in adapter.missing(destination.settings)]
        why = f"no {' and no '.join(missing)}" if missing else "mode: sandbox"
        return Probe(True, f"{why}: plays in sandbox")
    timeout_s = min(PROBE_TIMEOUT_S, destination.timeout_s)
    transport = GuardedTransport(timeout_s=timeout_s, allow_private=allow_private)
    try:
        with transport.one_action():
            return adapter(destination.settings, transport).probe()
    except TransportError as error:
        said = f"unreachable: {error}. Is the network up, the address right?"
        return Probe(False, said)


def _as_recorded(recorder: RecordingTransport) -> dict[str, Any] | None:
    last = recorder.last
    if last is None:
        return None
    try:
        content = orjson.loads(last.body)
    except orjson.JSONDecodeError:
        content = last.body.decode("utf-8", "replace")
    return storable({"method": last.method, "url": last.url, "body": _shortened(content)})[0]


def _shortened(content: Any) -> Any:
    """Return JSON with the ends of its longest texts left out: a file, encoded in a body."""
    if isinstance(content, dict):
        return {name: _shortened(value) for name, value in content.items()}
    if isinstance(content, list):
        return [_shortened(value) for value in content]
    if isinstance(content, str) and len(content) > LONGEST_RECORDED:
        return f"{content[:100]}… ({len(content)} characters)"
    return content


def list_records(
    hub: Hub, source: Source, since: datetime, now: datetime
) -> Iterator[ListedRecord]:
    """Yield the records that a source's provider lists since that time.

    Raises:
        AdapterError: during iteration: the list cannot be read to its end.
    """
    account = hub.configuration.destinations.get(source.account or "")
    transport = GuardedTransport(
        timeout_s=TIMEOUT_S, allow_private=hub.allow_private, max_answer_bytes=LISTED_BYTES
    )
    settings = account.settings if account else {}
    return hub.inbound(source.slug).list_since(since, now, transport, settings)
