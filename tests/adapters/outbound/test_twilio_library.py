"""The official library of Twilio as the adapter uses it: what it must not do, read or decide."""

import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from threading import Barrier
from typing import Any
from urllib.parse import parse_qs

import pytest

from adapters import Answer, AnswerLost, Call, LookupVerdict, Transport, Verdict
from adapters.twilio.api import TwilioApi
from hub.gateways.http.transport import GuardedTransport
from tests.adapters.outbound.conftest import NOW
from tests.adapters.outbound.twilio_calls import (
    ACCOUNT,
    JSON,
    KEY,
    KEY_SECRET,
    SENDER,
    SID,
    TAKEN,
    TEXT,
    TO,
    TOKEN,
    At,
    Said,
    listed,
    made,
    record,
    says,
)
from tests.gateways.servers import Far

Calls = Callable[..., Call]

SMS = {"to": TO, "body": TEXT}


class Awaited(dict[str, str]):
    """Headers that the library can look at once as many threads as may be have their answers."""

    def __init__(self, answered: Barrier) -> None:
        self._answered = answered

    def __len__(self) -> int:
        self._answered.wait(15)
        return 0


class Echoing:
    """Transport that answers a text with a SID made of it."""

    def __init__(self, threads: int) -> None:
        self._answered = Barrier(threads)
        self.urls: set[str] = set()

    def send(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes = b""
    ) -> Answer:
        self.urls.add(url)
        [text] = parse_qs(body.decode())["Body"]
        said = says(201, {"sid": f"SM{int(text):032x}"})[2]
        return Answer(201, Awaited(self._answered), said)


@pytest.mark.parametrize(
    "odd",
    [
        {"date_created": "Fri, 99 Nov 2026 99:99:99 +0000"},
        {"date_sent": 7},
        {"date_updated": ["Fri"]},
        {"error_code": {}},
        {"subresource_uris": []},
    ],
)
def test_what_the_library_cannot_read_takes_no_message_back(
    far: Far, transport: GuardedTransport, call: Calls, odd: dict[str, Any]
) -> None:
    far.says(says(201, {"sid": SID} | odd))
    outcome = made(transport, far.url).perform(call("send", SMS))
    assert (outcome.verdict, outcome.provider_ref) == (Verdict.SUCCEEDED, SID)


@pytest.mark.parametrize(
    ("said", "verdict"),
    [
        ((201, {}, b'{"sid": "\xff"}'), Verdict.IN_DOUBT),
        ((201, {}, b"[" * 100_000), Verdict.IN_DOUBT),
        ((500, {}, b"\xff\xfe"), Verdict.IN_DOUBT),
        ((400, {}, b"\xff\xfe"), Verdict.PERMANENT),
        ((400, {}, b'{"type": [], "title": {}, "status": "x", "code": null}'), Verdict.PERMANENT),
        ((307, {"location": "https://evil.example/"}, b"{}"), Verdict.PERMANENT),
        ((201, JSON, f'{{"sid": "{SID}"}}'.encode("utf-16")), Verdict.SUCCEEDED),
    ],
)
def test_odd_bytes_have_the_verdict_of_their_status(
    far: Far, transport: GuardedTransport, call: Calls, said: Said, verdict: Verdict
) -> None:
    far.says(said)
    assert made(transport, far.url).perform(call("send", SMS)).verdict is verdict
    assert len(far.seen) == 1


def test_a_list_may_have_keys_that_the_library_does_not_know(
    far: Far, transport: GuardedTransport, call: Calls
) -> None:
    odd = {"messages": [record()], "next_page_uri": None, "meta": 7, "news": []}
    far.says(says(200, odd))
    found = made(At(transport), far.url).look_up(call("send", SMS), NOW - timedelta(minutes=2))
    assert (found.verdict, found.provider_ref) == (LookupVerdict.THERE, SID)


def test_a_time_is_read_with_its_offset(far: Far, transport: GuardedTransport, call: Calls) -> None:
    created = "Fri, 20 Nov 2026 06:58:03 -0500"  # the library would say 06:58:03 UTC
    far.says(listed(record(date_created=created)))
    found = made(At(transport), far.url).look_up(call("send", SMS), NOW - timedelta(minutes=2))
    assert (found.verdict, found.provider_ref) == (LookupVerdict.THERE, SID)


def test_a_filter_is_in_utc_whatever_zone_the_time_has(
    far: Far, transport: GuardedTransport, call: Calls
) -> None:
    far.says(listed())
    sent_at = datetime(2026, 11, 20, 13, 58, 5, tzinfo=timezone(timedelta(hours=2)))
    made(transport, far.url).look_up(call("send", SMS), sent_at)
    assert "DateSent%3E=2026-11-20T11%3A38%3A05Z" in far.seen[0].path
    assert sent_at.astimezone(UTC).hour == 11


def test_the_environment_says_nothing(
    far: Far, transport: GuardedTransport, call: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ACCOUNT_SID", "AUTH_TOKEN", "EDGE", "REGION"):
        monkeypatch.setenv(f"TWILIO_{name}", "somebody-elses")
    far.says(TAKEN)
    for token in (TOKEN, ""):
        made(transport, far.url, auth_token=token).perform(call("send", SMS))
    assert {seen.path for seen in far.seen} == {f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json"}
    blank, given = sorted((seen.headers["authorization"] for seen in far.seen), key=len)
    assert blank != given
    assert len(far.seen) == 2


def test_nothing_is_logged(
    far: Far, transport: GuardedTransport, call: Calls, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        for said in (TAKEN, says(400, {"code": 21211, "message": TO, "status": 400})):
            far.says(said)
            made(transport, far.url, **KEY).perform(call("send", SMS))
        far.says(listed(record()))
        made(transport, far.url, **KEY).look_up(call("send", SMS), NOW)
    for private in (TO, TO[1:], SENDER, TEXT, TOKEN, KEY_SECRET, "twilio"):
        assert private not in caplog.text


def test_many_threads_share_a_client_and_each_gets_its_own_answer() -> None:
    echoing = Echoing(16)
    one = made(echoing)

    def sent(n: int) -> bool:
        parameters = {"to": TO, "body": str(n)}
        call = Call("send", parameters, key="k", attempt_id="a", now=NOW)
        return one.perform(call).provider_ref == f"SM{n:032x}"

    with ThreadPoolExecutor(16) as threads:
        assert all(threads.map(sent, range(160)))
    assert len(echoing.urls) == 1


def test_an_account_has_one_client(transport: Transport) -> None:
    account = TwilioApi({"account_sid": ACCOUNT, "auth_token": TOKEN}, transport)
    assert account.library is account.library


def test_without_an_answer_nothing_is_certain(transport: Transport) -> None:
    account = TwilioApi({"account_sid": ACCOUNT, "auth_token": TOKEN}, transport)
    with pytest.raises(AnswerLost, match="no answer"):
        account.library.exchange(lambda: None)
