"""Example calls of every outbound adapter, over a transport that spoils one answer."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from adapters import (
    AdapterError,
    Answer,
    Call,
    Effect,
    Outbound,
    Outcome,
    Transport,
    Verdict,
    registry,
)
from hub.gateways.http.sandbox import RecordingTransport
from tests.adapters.outbound.accounts import ACCOUNTS, EXAMPLES
from tests.adapters.outbound.conftest import NOW

ADAPTERS = sorted(registry.OUTBOUND)
ACTIONS = sorted((name, action) for name in ADAPTERS for action in registry.outbound(name).actions)
ONCE = [
    (name, action)
    for name, action in ACTIONS
    if registry.outbound(name).actions[action].effect is Effect.AT_MOST_ONCE
]
# Whose success has no body.
BY_STATUS_ALONE = frozenset({("sendgrid", "send")})

DOUBTFUL = [
    (*one, status)
    for one in ONCE
    for status in (500, 501, 502, 503, 504, 520, 599, 200, 201, 204)
    if status >= 500 or one not in BY_STATUS_ALONE
]
LABELS = ("**Docs**", "**Answers**", "**Quirks**")
KEY = "0190f1c2-7a3b-7000-8000-000000000001"
READS = frozenset({"GET", "HEAD"})

each_action = pytest.mark.parametrize(("name", "action"), ACTIONS)
each_once = pytest.mark.parametrize(("name", "action"), ONCE)


class Faulty:
    """Answers as a good provider would, but for the one call that it was told to spoil.

    `spoil` answers or raises; `calls` are those that were made.
    """

    def __init__(self, good: Callable[[str, str], Answer], at: int, spoil: Callable[[], Answer]):
        self._good, self._at, self._spoil = good, at, spoil
        self.calls: list[str] = []

    def send(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes = b""
    ) -> Answer:
        self.calls.append(method)
        return self._spoil() if len(self.calls) - 1 == self._at else self._good(method, url)


def call(action: str, parameters: Mapping[str, Any]) -> Call:
    return Call(action, parameters, key=KEY, attempt_id=f"{KEY}.1", now=NOW)


def made(name: str, given: Mapping[str, Any], transport: Transport) -> Outbound:
    adapter = registry.outbound(name)
    return adapter(adapter.settings_schema().load(given), transport)


def good(name: str) -> Callable[[str, str], Answer]:
    return made(name, ACCOUNTS[name], RecordingTransport(nothing)).sandbox_answer


def nothing(method: str, url: str) -> Answer:
    raise AssertionError(f"{method} {url} was not to be called")


def perform(name: str, action: str, at: int, spoil: Callable[[], Answer]) -> Outcome | AdapterError:
    """Return how the example ends whose call number `at` is spoilt."""
    adapter = made(name, ACCOUNTS[name], Faulty(good(name), at, spoil))
    try:
        return adapter.perform(call(action, EXAMPLES[name, action]))
    except AdapterError as error:
        return error


def calls_of(name: str, action: str) -> list[str]:
    """Return the methods of the calls that a good run makes."""
    faulty = Faulty(good(name), -1, lambda: Answer(500, {}, b""))
    outcome = made(name, ACCOUNTS[name], faulty).perform(call(action, EXAMPLES[name, action]))
    assert outcome.verdict is Verdict.SUCCEEDED, outcome.message
    return faulty.calls


def effective(name: str, action: str) -> int:
    """Return the number of the call that has the effect: the last of a good run."""
    calls = calls_of(name, action)
    assert calls[-1] not in READS
    return len(calls) - 1


def raising(error: Exception) -> Callable[[], Answer]:
    def spoil() -> Answer:
        raise error

    return spoil


def said(ended: Outcome | AdapterError) -> str:
    """Return all that may be logged or shown of how a call ended."""
    if isinstance(ended, Outcome):
        return f"{ended.message} {ended.code}"
    return str(ended)
