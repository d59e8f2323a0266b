"""HubSpot's accounts: OAuth as well as tokens, and what is said of either."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from threading import Barrier, Thread
from typing import Any
from urllib.parse import parse_qs

import pytest

from adapters import AccountRefused, AnswerLost, Call, NotSent, Outcome, Verdict
from adapters.hubspot.outbound import HubspotOutbound
from hub.gateways.http.sandbox import RecordingTransport
from hub.gateways.http.transport import GuardedTransport
from tests.adapters.outbound.conftest import NOW
from tests.adapters.outbound.crm import Crm, refused, said
from tests.far_end import FarEnd, Received, Reply
from tests.gateways.servers import raw_server

Calls = Callable[..., Call]
OAUTH = {
    "client_id": "client-1",
    "client_secret": "client-secret-1",
    "refresh_token": "refresh-token-1",
}
JANE = {"email": "jane@example.org"}
EXPIRED = refused(401, "EXPIRED_AUTHENTICATION", "The OAuth token expired")


class Office:
    """A CRM that gives out tokens `token-1`, `token-2` ... and takes only the latest `good`."""

    def __init__(self, lasts_s: int = 1800) -> None:
        self.crm = Crm()
        self.asked: list[dict[str, list[str]]] = []
        self.refusals = 0
        self.lasts_s = lasts_s
        self.revoked: set[str] = set()

    def behave(self, received: Received) -> Reply:
        if received.path == "/oauth/v3/token":
            assert received.method == "POST"
            self.asked.append(parse_qs(received.body.decode()))
            token = f"token-{len(self.asked)}"
            return said(200, {"access_token": token, "expires_in": self.lasts_s})
        token = received.headers["authorization"].removeprefix("Bearer ")
        if token in self.revoked or token != f"token-{len(self.asked)}":
            self.refusals += 1
            return EXPIRED
        return self.crm.behave(received)


def adapter(url: str, transport: Any, **settings: Any) -> HubspotOutbound:
    loaded = HubspotOutbound.settings_schema().load(settings or OAUTH)
    return HubspotOutbound({**loaded, "base_url": url}, transport)


def upsert(one: HubspotOutbound, call: Calls, later_s: float = 0) -> Outcome:
    asked = replace(call("upsert_contact", JANE), now=NOW + timedelta(seconds=later_s))
    return one.perform(asked)


def test_one_access_token_serves_until_it_ends(transport: GuardedTransport, call: Calls) -> None:
    office = Office(lasts_s=1800)
    with FarEnd(office.behave) as far:
        one = adapter(far.url, transport)
        for later_s, asked in ((0, 1), (1, 1), (1739, 1), (1740, 2), (1741, 2)):
            assert upsert(one, call, later_s).verdict is Verdict.SUCCEEDED
            assert len(office.asked) == asked
    assert office.asked[0] == {
        "grant_type": ["refresh_token"],
        **{name: [value] for name, value in OAUTH.items()},
    }
    assert office.refusals == 0


def test_a_token_that_is_refused_is_renewed_once(transport: GuardedTransport, call: Calls) -> None:
    office = Office()
    with FarEnd(office.behave) as far:
        one = adapter(far.url, transport)
        upsert(one, call)
        office.revoked.add("token-1")
        assert upsert(one, call).verdict is Verdict.SUCCEEDED
        assert (len(office.asked), office.refusals) == (2, 1)
        office.revoked |= {"token-2", "token-3", "token-4"}
        outcome = upsert(one, call)
        assert (outcome.verdict, outcome.status) == (Verdict.BLOCKED, 401)
        assert (len(office.asked), office.refusals) == (3, 3)


def test_a_note_is_written_once_through_a_renewal(transport: GuardedTransport, call: Calls) -> None:
    office = Office()
    with FarEnd(office.behave) as far:
        one = adapter(far.url, transport)
        upsert(one, call)
        office.revoked.add("token-1")
        outcome = one.perform(call("add_note", {"text": "Called back", "deal": "7"}))
    assert outcome.verdict is Verdict.SUCCEEDED
    assert len(office.crm.objects["notes"]) == 1


@pytest.mark.parametrize("status", [403, 429, 500, 503])
def test_only_a_401_is_made_again(transport: GuardedTransport, call: Calls, status: int) -> None:
    office = Office()

    def behave(received: Received) -> Reply:
        reply = office.behave(received)
        return said(status, {}) if received.path.endswith("/notes") else reply

    with FarEnd(behave) as far:
        adapter(far.url, transport).perform(call("add_note", {"text": "x", "deal": "7"}))
    assert len(office.crm.objects["notes"]) == 1


def test_threads_share_one_renewal(transport: GuardedTransport, call: Calls) -> None:
    office = Office()
    office.crm.add("contacts", **JANE)
    with FarEnd(office.behave) as far:
        one = adapter(far.url, transport)
        upsert(one, call)
        office.revoked.add("token-1")
        start, verdicts = Barrier(8), []

        def perform() -> None:
            start.wait(5)
            verdicts.append(upsert(one, call).verdict)

        threads = [Thread(target=perform) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
    assert verdicts == [Verdict.SUCCEEDED] * 8
    assert len(office.asked) == 2


def test_a_lasting_token_is_not_renewed(transport: GuardedTransport, call: Calls) -> None:
    with FarEnd(lambda received: EXPIRED) as far:
        outcome = upsert(adapter(far.url, transport, token="pat-na1-secret"), call)
        assert [received.path.partition("?")[0] for received in far.received] == [
            "/crm/v3/objects/contacts/jane%40example.org"
        ]
    assert outcome.verdict is Verdict.BLOCKED


@pytest.mark.parametrize("status", [400, 401, 403])
def test_bad_credentials_are_the_account_s(
    transport: GuardedTransport, call: Calls, status: int
) -> None:
    told = {"status": "BAD_REFRESH_TOKEN", "message": "bad refresh-token-1 and client-secret-1"}
    with FarEnd(lambda received: said(status, told)) as far:
        one = adapter(far.url, transport)
        with pytest.raises(AccountRefused, match="install it again") as caught:
            upsert(one, call)
        assert len(far.received) == 1
        assert not one.probe().ok
        assert "install it again" in one.probe().message
    assert "refresh-token-1" not in str(caught.value)
    assert "client-secret-1" not in str(caught.value)


@pytest.mark.parametrize(
    "reply",
    [
        said(429, {}),
        said(500, {}),
        said(503, {}),
        said(200, {}),
        said(200, {"access_token": "", "expires_in": 1800}),
        said(200, {"access_token": "x"}),
        said(200, {"access_token": "x", "expires_in": 0}),
        said(200, {"access_token": "x", "expires_in": True}),
        said(200, {"access_token": "a b", "expires_in": 1800}),
        said(200, {"access_token": "x\r\ny", "expires_in": 1800}),
        said(200, {"access_token": "é", "expires_in": 1800}),
        said(200, {"access_token": 5, "expires_in": 1800}),
        Reply(200, b"<html>"),
        Reply(0),
    ],
)
def test_without_a_token_nothing_is_sent(
    transport: GuardedTransport, call: Calls, reply: Reply
) -> None:
    with FarEnd(lambda received: reply) as far:
        one = adapter(far.url, transport)
        with pytest.raises(NotSent):
            one.perform(call("add_note", {"text": "x", "deal": "7"}))
        assert {received.path for received in far.received} == {"/oauth/v3/token"}


def test_a_token_for_ever_is_kept_for_a_day(transport: GuardedTransport, call: Calls) -> None:
    office = Office(lasts_s=10**15)
    with FarEnd(office.behave) as far:
        one = adapter(far.url, transport)
        upsert(one, call)
        upsert(one, call, 90_000)
    assert len(office.asked) == 2


def test_the_access_token_is_in_no_message(transport: GuardedTransport, call: Calls) -> None:
    def behave(received: Received) -> Reply:
        if received.path == "/oauth/v3/token":
            return said(200, {"access_token": "token-1", "expires_in": 1800})
        return refused(400, "VALIDATION_ERROR", "token-1 and client-secret-1")

    with FarEnd(behave) as far:
        message = upsert(adapter(far.url, transport), call).message
    assert message == "HubSpot answered 400: VALIDATION_ERROR; *** and ***"


def test_the_probe_asks_for_a_token_too(transport: GuardedTransport) -> None:
    office = Office()

    def behave(received: Received) -> Reply:
        if received.path == "/crm/v3/objects/contacts?limit=1":
            assert received.headers["authorization"] == "Bearer token-1"
            return said(200, {"results": []})
        return office.behave(received)

    with FarEnd(behave) as far:
        probe = adapter(far.url, transport).probe()
    assert probe.ok
    assert "crm.objects.deals.read" in probe.message


def test_a_line_that_breaks_is_doubt_only_once_a_token_is_there(
    transport: GuardedTransport, call: Calls
) -> None:
    with raw_server(lambda sock: None) as url:
        with pytest.raises(NotSent):
            upsert(adapter(url, transport), call)
        with pytest.raises(AnswerLost):
            upsert(adapter(url, transport, token="t"), call)


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ({"client_id": "a"}, "`client_secret`, `refresh_token`"),
        ({"client_id": "a", "client_secret": "b", "refresh_token": " "}, "`refresh_token`"),
        ({"token": "t", "refresh_token": "c"}, "`client_id`, `client_secret`"),
        ({"token": "t", **OAUTH}, "not both"),
        ({}, None),
        ({"token": ""}, None),
        ({"token": None, "client_id": "", "client_secret": "", "refresh_token": None}, None),
        ({"token": "t", "client_id": ""}, None),
        ({"token": "", **OAUTH}, None),
    ],
)
def test_credentials_are_whole_or_absent(settings: dict[str, Any], fault: str | None) -> None:
    faults = HubspotOutbound.settings_schema().validate(settings)
    if fault is None:
        assert faults == {}
    else:
        assert fault in json.dumps(faults)


@pytest.mark.parametrize(
    ("settings", "missing"),
    [
        ({}, [("token", "refresh_token")]),
        ({"token": " ", "refresh_token": None}, [("token", "refresh_token")]),
        ({"token": "t"}, []),
        (OAUTH, []),
    ],
)
def test_either_credential_leaves_the_sandbox(
    settings: dict[str, Any], missing: list[tuple[str, ...]]
) -> None:
    assert HubspotOutbound.missing(settings) == missing
    assert set(HubspotOutbound.secrets) == {"token", "client_secret", "refresh_token"}


def test_oauth_plays_in_the_sandbox_too(call: Calls) -> None:
    sandbox = RecordingTransport(HubspotOutbound({}, None).sandbox_answer)  # type: ignore[arg-type]
    assert upsert(HubspotOutbound(OAUTH, sandbox), call).verdict is Verdict.SUCCEEDED
