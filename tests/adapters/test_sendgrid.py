"""Particulars of SendGrid's events: batches, their bad items, two keys, our own tokens."""

import json
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import ValidationError
from sendgrid.helpers.eventwebhook import EventWebhook

from adapters.contract.errors import NotVerified, Unreadable
from adapters.contract.event import Event
from adapters.contract.request import InboundRequest
from adapters.contract.signatures.ecdsa import (
    SIGNATURE_HEADER,
    TIMESTAMP_HEADER,
    private_key,
    sign_ecdsa,
)
from adapters.sendgrid.inbound import SendgridInbound, SendgridInboundSettings
from tests.timing import little_work

FIXTURES = Path(__file__).parent.parent / "fixtures" / "sendgrid"
ABOUT = json.loads((FIXTURES / "fixture.json").read_text())
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
NOW_S = int(NOW.timestamp())
MINE = ABOUT["settings"]["public_keys"][0]
OTHER = ABOUT["wrong_settings"]["public_keys"][0]
DELIVERY = "0190f1c2-7a3b-7c11-8000-0123456789ab"
DELIVERED = {
    "email": "Jane.Doe@EXAMPLE.com",
    "timestamp": NOW_S,
    "event": "delivered",
    "sg_event_id": "e-1",
    "sg_message_id": "LRzXl_NHStOGhQ4kofSm_A.recvd-5f6b-1-6560E1B0-1.0",
}


def adapter(**settings: Any) -> SendgridInbound:
    return SendgridInbound(SendgridInboundSettings().load(ABOUT["settings"] | settings))


def request(body: bytes, headers: dict[str, str] | None = None) -> InboundRequest:
    return InboundRequest("POST", ABOUT["url"], headers or {}, body, NOW)


def signed(body: bytes, at: datetime = NOW) -> InboundRequest:
    key = private_key(ABOUT["settings"]["sample_key"])
    return request(body, sign_ecdsa(key, int(at.timestamp()), body))


def events(*items: Any) -> list[Event]:
    return list(adapter().parse(request(json.dumps(items).encode() + b"\r\n")))


def event(item: Any) -> Event:
    (only,) = events(item)
    return only


def test_each_item_of_the_documented_batch_is_told_apart() -> None:
    found = adapter().parse(request((FIXTURES / "batch.json").read_bytes()))
    assert [one.type for one in found] == [
        "email.processed",
        "email.deferred",
        "email.delivered",
        "email.opened",
        "email.clicked",
        "email.bounced",
        "email.deferred",
        "email.dropped",
        "email.spam_reported",
        "email.unsubscribed",
        "email.unsubscribed",
        "email.resubscribed",
        "sendgrid.account_status_change",
    ]
    assert all(set(one.data) >= {"email", "message_id"} for one in found[:-1])


def test_an_event_has_the_names_of_its_family_and_nothing_that_was_not_given() -> None:
    found = event(DELIVERED)
    assert (found.external_id, found.occurred_at, found.live) == ("e-1", NOW, True)
    assert found.data == {
        "email": "Jane.Doe@example.com",
        "message_id": "LRzXl_NHStOGhQ4kofSm_A",
        "native": DELIVERED,
    }


@pytest.mark.parametrize(
    ("kind", "type_"),
    [
        ("bounce", "email.bounced"),
        ("blocked", "email.deferred"),
        (None, "email.bounced"),
        ("new", "email.bounced"),
        (["blocked"], "email.bounced"),
    ],
)
def test_a_bounce_is_for_ever_and_a_block_is_not(kind: Any, type_: str) -> None:
    assert event(DELIVERED | {"event": "bounce", "type": kind}).type == type_
    assert event(DELIVERED | {"event": "dropped", "type": kind}).type == "email.dropped"


@pytest.mark.parametrize(
    ("given", "data"),
    [
        ({"event": "open", "sg_machine_open": True}, {"machine": True}),
        ({"event": "open", "sg_machine_open": False}, {"machine": False}),
        ({"event": "open", "sg_machine_open": "true"}, {}),
        ({"event": "click", "url": "https://example.com/a"}, {"url": "https://example.com/a"}),
        ({"event": "deferred", "response": "400 later"}, {"reason": "400 later"}),
        ({"event": "deferred", "response": "400", "reason": "slow"}, {"reason": "slow"}),
        ({"event": "delivered", "response": "250 OK"}, {}),
        ({"event": "dropped", "reason": "Bounced Address"}, {"reason": "Bounced Address"}),
    ],
)
def test_what_an_event_says_beside_who_and_which(
    given: dict[str, Any], data: dict[str, Any]
) -> None:
    found = dict(event(DELIVERED | given).data)
    for name in ("email", "message_id", "native"):
        del found[name]
    assert found == data


def test_our_token_comes_back_and_names_the_delivery() -> None:
    found = event(DELIVERED | {"hub_attempt": f"{DELIVERY}.3"})
    assert found.data["hub_attempt"] == f"{DELIVERY}.3"
    assert found.data["delivery_id"] == DELIVERY


@pytest.mark.parametrize(
    "token",
    ["", "d1.1", DELIVERY, f"{DELIVERY}.", f"{DELIVERY}.x", f"{DELIVERY}.1\n", f" {DELIVERY}.1",
     f"{DELIVERY}.1.2", f"{DELIVERY}.\u0661", DELIVERY.upper() + ".1", 7, None, [f"{DELIVERY}.1"]],
)  # fmt: skip
def test_somebody_else_s_token_is_no_token(token: Any) -> None:
    """B53."""
    data = event(DELIVERED | {"hub_attempt": token, "custom": "other"}).data
    assert not {"hub_attempt", "delivery_id"} & set(data)


def test_without_an_id_the_fact_is_the_id() -> None:
    """B53."""
    item = {name: value for name, value in DELIVERED.items() if name != "sg_event_id"}
    found = event(item)
    assert found.external_id == found.fact_key == event(DELIVERED).fact_key
    assert event(item | {"useragent": "x"}).external_id == found.external_id
    assert event(item | {"sg_event_id": "no good id"}).external_id == found.external_id
    assert event(item | {"sg_event_id": "x" * 256}).external_id == found.external_id


def test_an_id_that_changes_leaves_the_fact() -> None:
    first, again = event(DELIVERED), event(DELIVERED | {"sg_event_id": "e-2", "tls": 1})
    assert first.external_id != again.external_id
    assert first.fact_key == again.fact_key


@pytest.mark.parametrize(
    ("name", "value"),
    [("sg_message_id", "other.1"), ("event", "processed"), ("email", "other@example.com"),
     ("timestamp", NOW_S + 1), ("url", "https://example.com/b"), ("attempt", "2"),
     ("asm_group_id", 11)],
)  # fmt: skip
def test_each_part_of_a_fact_counts(name: str, value: Any) -> None:
    assert event(DELIVERED | {name: value}).fact_key != event(DELIVERED).fact_key


def test_what_names_no_e_mail_has_no_fact_key() -> None:
    """Two changes of an account in one second are two."""
    change = {"event": "account_status_change", "timestamp": NOW_S, "type": "compliance_suspend"}
    found = event(change)
    assert found.fact_key is None
    assert found.external_id != event(change | {"type": "compliance_ban"}).external_id
    asynchronous = {"event": "bounce", "timestamp": NOW_S, "email": "jane@example.com"}
    assert event(asynchronous).fact_key
    assert "message_id" not in event(asynchronous).data


def test_the_same_item_twice_is_one_event_and_the_same_id_with_another_body_is_two() -> None:
    """B52; what is another's is left to whoever stores it, as a conflict."""
    assert [one.external_id for one in events(DELIVERED, DELIVERED)] == ["e-1"]
    assert len(events(DELIVERED, DELIVERED | {"event": "open"})) == 2


BAD: list[Any] = [
    None,
    7,
    "text",
    [],
    {},
    {"event": "open"},
    {"timestamp": NOW_S},
    DELIVERED | {"timestamp": str(NOW_S)},
    DELIVERED | {"timestamp": NOW_S * 1000},
    DELIVERED | {"timestamp": True},
    DELIVERED | {"event": 5},
    DELIVERED | {"event": "a b"},
    DELIVERED | {"event": "x" * 101},
]


@pytest.mark.parametrize("bad", BAD, ids=repr)
def test_a_bad_item_spoils_no_other_and_is_not_lost(bad: Any) -> None:
    """B51."""
    first, spoilt, last = events(DELIVERED, bad, DELIVERED | {"sg_event_id": "e-2"})
    assert [first.external_id, last.external_id] == ["e-1", "e-2"]
    assert (spoilt.type, spoilt.native_type) == ("sendgrid.unreadable", "unreadable")
    assert spoilt.occurred_at == NOW
    assert spoilt.data["reason"]
    assert spoilt.data["native"] == (bad if isinstance(bad, dict) else {"item": bad})
    assert spoilt.fact_key is None
    assert spoilt.external_id == events(bad, DELIVERED)[0].external_id


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"event": "open", "event": "click"}', "key event twice"),
        ('{"event": "open", "timestamp": NaN}', "NaN"),
        ('{"event": "open", "n": 99999999999999999999999}', "64 bits"),
        ('{"event": "open", "n": ' + "9" * 5000 + "}", "64 bits"),
        ('{"event": ' + "[" * 70 + "]" * 70 + "}", "deeper than 64"),
    ],
)
def test_json_that_we_refuse_spoils_its_item_alone(text: str, reason: str) -> None:
    good = json.dumps(DELIVERED)
    body = f"\ufeff [ {good} , {text}\r\n,{good.replace('e-1', 'e-2')}] \r\n".encode()
    first, spoilt, last = adapter().parse(request(body))
    assert [first.external_id, last.external_id] == ["e-1", "e-2"]
    assert reason in spoilt.data["reason"]
    assert spoilt.data["native"] == {"item": text}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "empty"),
        (b"{}", "array, not dict"),
        (b"[]", "has none"),
        (b"[7, null]", "has none"),
        (b"[{}]", "none of its items is an event"),
        (b'[{"event": "open"}, 7]', "timestamp"),
        (b"[{} {}]", "not JSON"),
        (b"[{},]", "not JSON"),
        (b"[{}", "not JSON"),
        (b'[{"a": 1, "a": 2}] x', "twice"),
        (b'[{"a": 1, "a": 2}', "twice"),
        (b"\xff[]", "UTF-8"),
        (b"[" * 100_000, "deep|not JSON"),
    ],
)
def test_what_is_no_batch_is_unreadable(body: bytes, words: str) -> None:
    with pytest.raises(Unreadable, match=words):
        adapter().parse(request(body))


@given(st.binary() | st.text().map(str.encode))
def test_bytes_of_any_kind_are_events_or_unreadable(body: bytes) -> None:
    for whole in (body, b"[" + body + b"]", b'[{"a": 1, "a": 2},' + body + b"]"):
        with suppress(Unreadable):
            assert adapter().parse(request(whole))


def test_ten_thousand_items_are_read_in_time() -> None:
    items = [DELIVERED | {"sg_event_id": f"e-{n}", "timestamp": NOW_S - n} for n in range(9_999)]
    body = json.dumps([*items, 7]).encode()
    with little_work():
        found = adapter().parse(request(body))
    assert len(found) == 10_000
    assert [one.type for one in found].count("sendgrid.unreadable") == 1


def test_either_of_two_keys_is_taken() -> None:
    body = (FIXTURES / "open.json").read_bytes()
    assert adapter(public_keys=[MINE, OTHER]).verify(signed(body)) == "public_keys[0]"
    assert adapter(public_keys=[OTHER, MINE]).verify(signed(body)) == "public_keys[1]"


def test_what_is_sent_again_for_a_day_is_taken_and_old_things_are_not() -> None:
    """B23."""
    body = (FIXTURES / "open.json").read_bytes()
    assert adapter().verify(signed(body, NOW - timedelta(hours=25)))
    for at in (NOW - timedelta(hours=25, seconds=1), datetime(2001, 9, 10, tzinfo=UTC)):
        with pytest.raises(NotVerified, match="clock"):
            adapter().verify(signed(body, at))
    with pytest.raises(NotVerified, match="at most 600 s"):
        adapter(max_age="10m").verify(signed(body, NOW - timedelta(seconds=601)))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"public_keys": []}, "at least one public key"),
        ({"public_keys": [MINE, "whsec_of_somebody"]}, "is not a public key"),
        ({"public_keys": MINE}, "list"),
        ({"max_age": "25"}, "a duration like"),
        ({"max_age": 90_000}, "string"),
        ({"max_age": "1m"}, "from 5m to 30d"),
        ({"max_age": "31d"}, "from 5m to 30d"),
        ({"sample_key": "secret"}, "is not an unencrypted private key"),
        ({"public_keys": [OTHER]}, "must stand among public_keys"),
        ({"secrets": ["whsec_x"]}, "Unknown"),
    ],
)
def test_settings_that_cannot_work_say_so(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words) as caught:
        adapter(**settings)
    assert "whsec_of" not in str(caught.value)
    assert ABOUT["settings"]["sample_key"] not in str(caught.value)


def test_sendgrid_s_library_verifies_our_samples() -> None:
    for native_type in adapter().sample_types():
        sample = adapter().sample(native_type, "evt-1", NOW, live=True, url=ABOUT["url"])
        signature, at = (sample.headers[h.lower()] for h in (SIGNATURE_HEADER, TIMESTAMP_HEADER))
        assert EventWebhook(MINE).verify_signature(sample.body.decode(), signature, at)
        incoming = replace(request(sample.body), headers=sample.headers)
        assert adapter().verify(incoming) == "public_keys[0]"
        (found,) = adapter().parse(incoming)
        assert (found.native_type, found.external_id, found.occurred_at) == (
            native_type,
            "evt-1",
            NOW,
        )
        assert sample.body.endswith(b"\r\n")


def test_two_samples_are_two_facts() -> None:
    keys = set()
    for external_id in ("evt-1", "evt-2"):
        body = adapter().sample("open", external_id, NOW, live=True, url="").body
        keys.add(adapter().parse(request(body))[0].fact_key)
    assert len(keys) == 2


def test_without_a_key_of_ours_there_is_no_sample_and_it_says_what_to_set() -> None:
    one = SendgridInbound({"public_keys": [MINE]})
    with pytest.raises(LookupError, match=r"set `sample_key`.*delivered"):
        one.sample("delivered", "evt-1", NOW, live=True, url="")
    with pytest.raises(LookupError, match=r"no sample of no\.such.*delivered"):
        adapter().sample("no.such", "evt-1", NOW, live=True, url="")
