"""Listing of missed messages and calls: each reads as its webhook would have."""

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

import pytest

from adapters.contract.errors import AccountRefused, AdapterError, NotSent
from adapters.contract.event import Event
from adapters.contract.inbound import ListedRecord
from adapters.contract.request import InboundRequest
from hub.gateways.http.transport import GuardedTransport
from tests.adapters.openapi import FIXTURES, Specification
from tests.adapters.twilio import MAIN, NOW, SID, URL, made, parsed
from tests.gateways.servers import Far, http_server, raw_server

SPECIFICATION = Specification(FIXTURES / "twilio" / "twilio_messages_v2010.json")
MESSAGES = f"/2010-04-01/Accounts/{MAIN}/Messages.json"
TOKEN = "an_auth_token_0123456789"
SINCE = datetime(2026, 11, 17, 6, 30, tzinfo=UTC)
CUSTOMER, OURS = "+12025550123", "+15005550006"
MMS = "MM" + "c" * 32
PICTURE = f"/2010-04-01/Accounts/{MAIN}/Messages/{MMS}/Media/ME{'d' * 32}"


@pytest.fixture(scope="module")
def transport() -> GuardedTransport:
    return GuardedTransport(allow_private=True, timeout_s=15)


def record(**fields: Any) -> dict[str, Any]:
    return {
        "sid": SID,
        "account_sid": MAIN,
        "api_version": "2010-04-01",
        "body": "Hello",
        "date_created": "Thu, 19 Nov 2026 10:00:00 +0000",
        "date_sent": "Thu, 19 Nov 2026 10:00:01 +0000",
        "date_updated": "Thu, 19 Nov 2026 10:00:05 +0000",
        "direction": "inbound",
        "error_code": None,
        "from": CUSTOMER,
        "num_media": "0",
        "status": "received",
        "to": OURS,
        **fields,
    }


def ours(status: str, **fields: Any) -> dict[str, Any]:
    return record(
        direction="outbound-api", status=status, **{"from": OURS, "to": CUSTOMER} | fields
    )


def said(*records: dict[str, Any], following: Any = None) -> tuple[int, dict[str, str], bytes]:
    return 200, {}, json.dumps({"messages": records, "next_page_uri": following}).encode()


def listing(transport: Any, far: Far, **account: Any) -> list[ListedRecord]:
    given = {"account_sid": MAIN, "auth_token": TOKEN, "from": OURS, "base_url": far.url}
    return list(made().list_since(SINCE, NOW, transport, given | account))


def events(listed: list[ListedRecord]) -> list[Event]:
    return [
        event
        for one in listed
        for event in made().parse(InboundRequest("POST", URL, one.headers, one.body, NOW))
    ]


def test_a_message_to_us_is_the_event_that_its_webhook_would_have_been(
    transport: GuardedTransport,
) -> None:
    with http_server() as far:
        far.says(said(record()))
        [event] = events(listing(transport, far))
    webhook = parsed(
        {
            "AccountSid": MAIN,
            "MessageSid": SID,
            "SmsStatus": "received",
            "From": CUSTOMER,
            "To": OURS,
            "Body": "Hello",
        }
    )
    assert (event.external_id, event.fingerprint) == (webhook.external_id, webhook.fingerprint)
    assert {**event.data, "native": 0} == {**webhook.data, "native": 0}
    assert event.occurred_at == datetime(2026, 11, 19, 10, 0, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        ("delivered", None, "sms.delivered"),
        ("undelivered", 30003, "sms.undelivered"),
        ("failed", 30008, "sms.failed"),
        ("read", None, "sms.read"),
        ("canceled", None, "twilio.canceled"),
    ],
)
def test_what_became_of_our_message_is_the_same_event_too(
    transport: GuardedTransport, status: str, code: int | None, kind: str
) -> None:
    with http_server() as far:
        far.says(said(ours(status, error_code=code)))
        [event] = events(listing(transport, far))
    webhook = parsed(
        {
            "AccountSid": MAIN,
            "MessageSid": SID,
            "MessageStatus": status,
            "To": CUSTOMER,
            "ErrorCode": str(code or ""),
        }
    )
    assert (event.type, event.external_id) == (kind, webhook.external_id)
    assert event.fingerprint == webhook.fingerprint
    assert event.occurred_at == datetime(2026, 11, 19, 10, 0, 5, tzinfo=UTC)


@pytest.mark.parametrize("status", ["accepted", "scheduled", "queued", "sending", "sent"])
def test_what_is_under_way_is_left_out(transport: GuardedTransport, status: str) -> None:
    with http_server() as far:
        far.says(said(ours(status)))
        assert listing(transport, far) == []


def test_every_page_is_read_and_each_call_fits_the_specification(
    transport: GuardedTransport,
) -> None:
    with http_server() as far:
        far.says(
            said(record(), following=f"{MESSAGES}?Page=1&PageToken=PASM1"),
            said(ours("delivered", sid="SM" + "e" * 32)),
        )
        assert len(listing(transport, far)) == 2
        assert len(far.seen) == 2
        for seen in far.seen:
            SPECIFICATION.check(seen.method, far.url + seen.path, seen.headers)
        path, _, query = far.seen[0].path.partition("?")
        assert path == MESSAGES
        assert dict(parse_qsl(query)) == {"DateSent>": "2026-11-17T06:30:00Z", "PageSize": "100"}
        assert far.seen[1].path == f"{MESSAGES}?Page=1&PageToken=PASM1"


def test_the_pictures_of_a_message_are_listed_and_not_fetched(transport: GuardedTransport) -> None:
    media = {"media_list": [{"uri": f"{PICTURE}.json", "content_type": "image/png"}]}
    with http_server() as far:
        far.says(said(record(sid=MMS, num_media="1")), (200, {}, json.dumps(media).encode()))
        [event] = events(listing(transport, far))
        for seen in far.seen:
            SPECIFICATION.check(seen.method, far.url + seen.path, seen.headers)
    assert event.data["media"] == [
        {"url": f"https://api.twilio.com{PICTURE}", "content_type": "image/png"}
    ]
    assert [seen.path.partition("?")[0] for seen in far.seen[1:]] == [
        f"/2010-04-01/Accounts/{MAIN}/Messages/{MMS}/Media.json"
    ]


@pytest.mark.parametrize("account", [{"account_sid": ""}, {"auth_token": None}])
def test_without_credentials_it_says_what_is_needed(
    transport: GuardedTransport, account: dict[str, Any]
) -> None:
    with http_server() as far:
        with pytest.raises(AccountRefused, match="auth_token"):
            listing(transport, far, **account)
        assert far.seen == []


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((401, {}, b"{}"), "check `account_sid` and `auth_token`"),
        ((403, {}, b""), "check `account_sid` and `auth_token`"),
        ((429, {}, b""), "try again later"),
        ((503, {}, b"<html>"), "try again later"),
        ((200, {}, b"<html>"), "try again later"),
        ((200, {}, b'{"messages": 7}'), "base_url"),
        ((200, {}, b'{"messages": [7]}'), "base_url"),
        (said(following="https://evil.example/"), "cannot be right"),
        (said(following=f"{MESSAGES}?DateSent%3E=2026-11-17T06%3A30%3A00Z&PageSize=100"), "cannot"),
    ],
)
def test_a_list_that_cannot_be_read_to_its_end_is_an_error_that_says_what_to_mend(
    transport: GuardedTransport, answer: tuple[int, dict[str, str], bytes], words: str
) -> None:
    with http_server() as far:
        far.says(answer)
        with pytest.raises(AdapterError, match=words) as refused:
            listing(transport, far)
    assert TOKEN not in str(refused.value)


def test_an_answer_that_is_lost_is_no_doubt(transport: GuardedTransport) -> None:
    with raw_server(lambda sock: None) as url, pytest.raises(NotSent):
        listing(transport, Far(url=url))
