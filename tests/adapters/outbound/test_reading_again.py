"""Read-only calls: a passing failure is repeated, within the time of the action, and no other."""

import logging
from collections.abc import Mapping
from contextlib import suppress

import pytest

from adapters import Answer, AnswerLost, NotSent, TransportError
from adapters.contract.answers import LEAST_CALL_S, LONGEST_PAUSE_S, TRIES, read
from adapters.contract.outbound import PatientTransport
from hub.gateways.http.transport import GuardedTransport
from tests.adapters.outbound.accounts import ACCOUNTS, EXAMPLES
from tests.adapters.outbound.promising import Faulty, call, each_once, effective, good, made

DATE = "Fri, 20 Nov 2026 12:00:00 GMT"
GOOD = Answer(200, {}, b"{}")
End = Answer | Exception


def says(status: int, **headers: str) -> Answer:
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Answer(status, named, b"secret body")


class Impatient:
    """Transport with scripted ends, the last one for ever."""

    def __init__(self, *ends: End) -> None:
        self.ends = list(ends)
        self.calls: list[tuple[str, str, bytes]] = []

    def send(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes = b""
    ) -> Answer:
        self.calls.append((method, url, body))
        return self.end()

    def end(self) -> Answer:
        end = self.ends.pop(0) if len(self.ends) > 1 else self.ends[0]
        if isinstance(end, Exception):
            raise end
        return end


class Patient(Impatient):
    """The same, with an action's time that passes with its pauses."""

    def __init__(self, *ends: End, left_s: float = 20.0, timeout_s: float = 20.0) -> None:
        super().__init__(*ends)
        self.timeout_s = timeout_s
        self.pauses: list[float] = []
        self._left_s = left_s

    def left_s(self) -> float:
        return self._left_s

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self._left_s -= seconds


def asked(transport: Impatient) -> Answer:
    return read(transport, "https://far.example/1", headers={"authorization": "Bearer secret"})


@pytest.mark.parametrize(
    "passing",
    [says(500), says(502), says(503), says(599), says(503, retry_after="1"),
     says(429, retry_after="1"), NotSent("refused"), AnswerLost("broken")],
)  # fmt: skip
def test_a_passing_failure_is_repeated(passing: End) -> None:
    transport = Patient(passing, passing, GOOD)
    assert asked(transport) == GOOD
    assert transport.calls == [("GET", "https://far.example/1", b"")] * TRIES
    assert len(transport.pauses) == TRIES - 1


@pytest.mark.parametrize("status", [200, 204, 301, 400, 401, 403, 404, 408, 409, 423, 429])
def test_any_other_answer_is_not_asked_for_again(status: int) -> None:
    """A 429 without `Retry-After` among them: who asks on may be banned."""
    transport = Patient(says(status))
    assert asked(transport).status == status
    assert len(transport.calls) == 1


def test_what_stays_wrong_is_the_result() -> None:
    transport = Patient(says(500), says(502), says(503))
    assert asked(transport).status == 503
    transport = Patient(NotSent("one"), AnswerLost("two"), AnswerLost("three"))
    with pytest.raises(NotSent, match="three"):
        asked(transport)
    assert len(transport.calls) == TRIES


@pytest.mark.parametrize(
    ("headers", "pause_s"),
    [
        ({"retry_after": "2"}, 2.0),
        ({"retry_after": "0"}, 0.0),
        ({"retry_after": "Fri, 20 Nov 2026 12:00:03 GMT", "date": DATE}, 3.0),
    ],
)
def test_the_pause_is_as_long_as_retry_after_says(headers: dict[str, str], pause_s: float) -> None:
    transport = Patient(says(503, **headers), GOOD)
    assert asked(transport) == GOOD
    assert transport.pauses == [pause_s]


@pytest.mark.parametrize(
    "headers",
    [
        {"retry_after": str(LONGEST_PAUSE_S + 1)},
        {"retry_after": "86400"},
        {"retry_after": "soon"},
        {"retry_after": "-1"},
        {"retry_after": "Fri, 20 Nov 2026 12:00:03 GMT"},  # from when on?
        {"retry_after": "Fri, 20 Nov 2026 13:00:00 GMT", "date": DATE},
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_a_longer_pause_is_left_to_the_caller(status: int, headers: dict[str, str]) -> None:
    said = says(status, **headers)
    transport = Patient(said, GOOD)
    assert asked(transport) == said
    assert (len(transport.calls), transport.pauses) == (1, [])


@pytest.mark.parametrize("left_s", [0.0, 0.5, LEAST_CALL_S, 1.1, 1.3, 1.6, 2.0, 3.0, 7.0])
def test_no_pause_is_longer_than_the_time_of_the_action_allows(left_s: float) -> None:
    for _ in range(50):  # pauses are random
        transport = Patient(says(503), left_s=left_s, timeout_s=0)
        assert asked(transport).status == 503
        assert sum(transport.pauses) <= max(0.0, left_s - LEAST_CALL_S)
        assert len(transport.calls) == 1 + len(transport.pauses)


@pytest.mark.parametrize("left_s", [20.0, 13.0, 11.1, 10.0, 9.0])
def test_half_of_the_time_is_left_for_a_call_that_may_follow(left_s: float) -> None:
    """Otherwise the call with an effect is cut off, and its outcome unknown."""
    transport = Patient(says(503, retry_after="1"), left_s=left_s, timeout_s=20)
    asked(transport)
    assert len(transport.calls) == (3 if left_s >= 12 else 2 if left_s >= 11 else 1)


def test_a_transport_that_cannot_wait_is_asked_once() -> None:
    transport = Impatient(says(503), GOOD)
    assert asked(transport).status == 503
    with pytest.raises(NotSent):
        asked(Impatient(AnswerLost("broken"), GOOD))


def test_the_log_says_that_a_call_is_repeated_and_nothing_of_what_was_said(caplog) -> None:
    with caplog.at_level(logging.DEBUG):
        asked(Patient(says(503, retry_after="2"), AnswerLost("jane@example.com"), GOOD))
    first, second = caplog.messages
    assert first == "a call ended with status 503; repeated in 2.0 s"
    assert second.startswith("a call ended with NotSent; repeated in ")
    assert "secret" not in caplog.text


def test_the_time_of_an_action_passes_and_that_of_a_single_call_does_not() -> None:
    transport = GuardedTransport(timeout_s=20)
    assert isinstance(transport, PatientTransport)
    assert transport.left_s() == 20
    with transport.one_action():
        first_s = transport.left_s()
        assert 0 < transport.left_s() <= first_s <= 20
    assert transport.left_s() == 20


def test_an_action_whose_time_is_over_has_none_left() -> None:
    transport = GuardedTransport(timeout_s=0)
    with transport.one_action():
        assert transport.left_s() == 0


class PatientFaulty(Faulty):
    def left_s(self) -> float:
        return 20.0

    def pause(self, seconds: float) -> None: ...


@each_once
@pytest.mark.parametrize("end", [says(500), says(429, retry_after="1"), NotSent("refused"),
                                 AnswerLost("broken")])  # fmt: skip
def test_a_call_with_an_effect_is_made_once_however_much_time_is_left(
    name: str, action: str, end: End
) -> None:
    at = effective(name, action)
    faulty = PatientFaulty(good(name), at, Patient(end).end)
    with suppress(TransportError):
        made(name, ACCOUNTS[name], faulty).perform(call(action, EXAMPLES[name, action]))
    assert len(faulty.calls) == at + 1
