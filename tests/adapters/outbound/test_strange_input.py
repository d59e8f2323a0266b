"""Strange parameters, and strange answers to calls that only read: look-ups and probes."""

import json
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

import pytest

from adapters import (
    AdapterError,
    Answer,
    AnswerLost,
    Call,
    InvalidParameters,
    LookupResult,
    Outbound,
    TransportError,
    registry,
)
from tests.adapters.outbound.accounts import ACCOUNTS, EMAIL, EXAMPLES, PHONE, SECRETS
from tests.adapters.outbound.conftest import NOW

KEY = "0190f1c2-7a3b-7000-8000-000000000001"
JSON = {"content-type": "application/json"}
STATUSES = (200, 201, 204, 207, 302, 400, 401, 403, 404, 409, 410, 422, 429, 500, 503)
BODIES = (
    b"", b"{}", b"[]", b"null", b"\xff\xfe", b"<html>", b"[" * 50_000, b'[{"id": {}}]',
    b'{"id": {}}', b'{"id": ""}', b'{"id": "\\u0000"}', b'{"id": "' + b"9" * 5000 + b'"}',
    b'{"errors": 7, "error": [], "results": {}, "data": [], "code": {}, "success": 1}',
    b'{"results": [null, {"id": 7}], "data": {"items": [7]}, "messages": [[]], "records": [{}]}',
)  # fmt: skip
STRANGE: tuple[Any, ...] = (
    None, True, -1, 2**70, 1.5, float("nan"), "", " ", "\x00", "\ud800", "\u202e", "a\r\nb: c",
    "9" * 5000, [], [None], {}, {"a": {"b": [float("inf")]}}, "../..", "jane@@example.com",
)  # fmt: skip
ACTIONS = sorted(
    (name, key) for name in registry.OUTBOUND for key in registry.outbound(name).actions
)

each_action = pytest.mark.parametrize(("name", "action"), ACTIONS)
each_adapter = pytest.mark.parametrize("name", sorted(registry.OUTBOUND))


class Script:
    """Answers as the sandbox does, or with `says` throughout; `asked` are the methods."""

    def __init__(self, name: str, says: Answer | AdapterError | None = None) -> None:
        kind = registry.outbound(name)
        self.asked: list[str] = []
        self.adapter: Outbound = kind(kind.settings_schema().load(ACCOUNTS[name]), self)
        self._says = says

    def send(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes = b""
    ) -> Answer:
        for text in (url, *(text for pair in headers.items() for text in pair)):
            assert text.isascii()
            assert text.isprintable()
        self.asked.append(method)
        if isinstance(self._says, AdapterError):
            raise self._says
        return self._says or self.adapter.sandbox_answer(method, url)


def call(action: str, parameters: Mapping[str, Any]) -> Call:
    return Call(action, parameters, key=KEY, attempt_id=f"{KEY}.1", now=NOW)


def answers(name: str) -> Iterator[Answer]:
    """Yield what might be answered, also with our own secrets in its words."""
    private = f"{SECRETS[name]} {EMAIL} {PHONE}"
    told = {"message": private, "error": private, "code": private, "more_info": private}
    leaks = (told, told | {"error": told, "errors": [told]}, [told | {"errorCode": private}])
    for status in STATUSES:
        for body in (*BODIES, *(json.dumps(leak).encode() for leak in leaks)):
            yield Answer(status, JSON | {"retry-after": "x"}, body)


def check_words(name: str, words: str | None) -> None:
    if words is not None:
        assert words.isprintable()
        for private in (SECRETS[name], EMAIL, PHONE):
            assert private not in words


@each_action
def test_strange_parameters_are_sent_or_refused_with_a_reason(name: str, action: str) -> None:
    fields = registry.outbound(name).actions[action].parameters().fields
    for key in {field.data_key or key for key, field in fields.items()}:
        for value in STRANGE:
            script = Script(name)
            try:
                script.adapter.perform(call(action, EXAMPLES[name, action] | {key: value}))
            except InvalidParameters as error:
                check_words(name, str(error))
            else:
                assert script.asked


@each_action
def test_a_look_up_ends_whatever_is_answered(name: str, action: str) -> None:
    for answer in answers(name):
        script = Script(name, answer)
        wanted = call(action, EXAMPLES[name, action])
        try:
            seen = script.adapter.look_up(wanted, NOW - timedelta(minutes=3))
        except AdapterError as error:
            check_words(name, str(error))
            continue
        assert isinstance(seen, LookupResult)
        assert seen.message
        check_words(name, seen.message)
        assert len(script.asked) < 60


@each_adapter
def test_a_probe_tells_right_wrong_and_forbidden_apart(name: str) -> None:
    good = Script(name)
    right = good.adapter.probe()
    assert right.ok
    wrong = [probed(name, Answer(status, JSON, b"{}")) for status in (401, 403, 500)]
    # What cannot be tried without an effect is not tried, and says so.
    assert len({right.message, *wrong}) == (4 if good.asked else 1)
    for answer in answers(name):
        check_words(name, probed(name, answer))
    if good.asked:
        with pytest.raises(TransportError):
            Script(name, AnswerLost("timed out")).adapter.probe()


def probed(name: str, answer: Answer) -> str:
    """Return what a person reads when the probe is answered so."""
    script = Script(name, answer)
    try:
        probe = script.adapter.probe()
    except TransportError as error:
        return str(error)
    assert not (probe.ok and script.asked and answer.status >= 300)
    return probe.message
