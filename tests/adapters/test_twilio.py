"""Particulars of Twilio's webhooks: words that stop, statuses, calls, streams, answers."""

import json
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from adapters.contract.errors import Unreadable
from adapters.contract.request import InboundRequest
from adapters.twilio.inbound import IGNORED_TYPES, NATIVE_TYPES
from tests.adapters.twilio import (
    CALL,
    CALLED,
    DELIVERY,
    NOW,
    RECEIVED,
    SID,
    STATUS,
    URL,
    made,
    parsed,
    request,
    signature,
)

# Those of twilio.rest's MessageInstance.Status and CallInstance.Status.
MESSAGE_STATUSES = """
    queued sending sent failed delivered undelivered receiving received accepted scheduled read
    partially_delivered canceled
""".split()
CALL_STATUSES = "queued ringing in-progress completed busy failed no-answer canceled".split()


def stream(body: Any) -> list[Any]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"content-type": "application/json"}
    return list(made().parse(InboundRequest("POST", URL, headers, raw, NOW)))


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("STOP", "sms.opted_out"),
        (" stop\n", "sms.opted_out"),
        ("Stop.", "sms.opted_out"),
        ('"STOP!"', "sms.opted_out"),
        ("StopAll", "sms.opted_out"),
        ("unsubscribe", "sms.opted_out"),
        ("CANCEL", "sms.opted_out"),
        ("End", "sms.opted_out"),
        ("quit", "sms.opted_out"),
        ("REVOKE", "sms.opted_out"),
        ("OptOut", "sms.opted_out"),
        ("START", "sms.opted_in"),
        ("unstop", "sms.opted_in"),
        ("YES", "sms.received"),
        ("HELP", "sms.received"),
        ("please stop", "sms.received"),
        ("stop by tomorrow", "sms.received"),
        ("STOP STOP", "sms.received"),
        ("non-stop", "sms.received"),
        ("", "sms.received"),
    ],
)
def test_a_single_word_stops_and_starts(body: str, kind: str) -> None:
    event = parsed({**RECEIVED, "Body": body})
    assert event.type == kind
    assert (event.external_id, event.data["from"]) == (SID, "+12025550123")


@pytest.mark.parametrize(
    ("told", "body", "kind"),
    [
        ("STOP", "genug", "sms.opted_out"),
        ("START", "YES", "sms.opted_in"),
        ("HELP", "STOP", "sms.received"),
        ("stop", "x", "sms.opted_out"),
        ("", "STOP", "sms.opted_out"),
    ],
)
def test_what_twilio_made_of_a_word_counts_before_the_word(told: str, body: str, kind: str) -> None:
    assert parsed({**RECEIVED, "OptOutType": told, "Body": body}).type == kind


@pytest.mark.parametrize("status", MESSAGE_STATUSES)
def test_each_status_of_a_message_has_a_type_or_a_reason(status: str) -> None:
    event = parsed({**STATUS, "From": "+15005550006", "MessageStatus": status})
    assert event.native_type == status
    assert event.type == NATIVE_TYPES.get(status, f"twilio.{status}")
    assert status in NATIVE_TYPES or status in IGNORED_TYPES
    assert event.external_id == (SID if status == "received" else f"{SID}:{status}")
    assert (event.data["status"], event.data["message_id"]) == (status, SID)


@pytest.mark.parametrize("status", CALL_STATUSES)
def test_each_status_of_a_call_has_a_type_or_a_reason(status: str) -> None:
    event = parsed({**CALLED, "CallStatus": status})
    assert event.native_type == f"call.{status}"
    assert event.native_type in NATIVE_TYPES or event.native_type in IGNORED_TYPES
    assert event.external_id == f"{CALL}:{status}"


def test_a_status_that_nobody_knows_is_kept_under_its_name() -> None:
    assert parsed({**STATUS, "MessageStatus": "held_back"}).type == "twilio.held_back"
    assert parsed({**CALLED, "CallStatus": "on-hold"}).type == "twilio.call.on-hold"


def test_an_older_callback_has_smsstatus_and_smssid_alone() -> None:
    event = parsed(
        {"AccountSid": STATUS["AccountSid"], "SmsSid": SID, "SmsStatus": "sent", "To": "+15550001"}
    )
    assert (event.type, event.external_id) == ("sms.sent", f"{SID}:sent")


def test_our_own_call_that_rings_is_not_a_call_that_comes() -> None:
    event = parsed({**CALLED, "CallStatus": "ringing", "Direction": "outbound-api"})
    assert event.type == "twilio.call.ringing.outbound"
    assert parsed({**CALLED, "CallStatus": "ringing"}).type == "call.received"


def test_steps_of_a_call_are_told_apart_by_their_number() -> None:
    first = parsed({**CALLED, "SequenceNumber": "2", "CallDuration": "42", "Duration": "1"})
    assert first.external_id == f"{CALL}:completed:2"
    assert first.data["duration_s"] == 42
    with pytest.raises(Unreadable, match="SequenceNumber"):
        parsed({**CALLED, "SequenceNumber": "two"})


@pytest.mark.parametrize("fields", [RECEIVED, STATUS, CALLED])
def test_a_time_is_taken_where_there_is_one(fields: dict[str, str]) -> None:
    assert parsed(fields).occurred_at == NOW
    later = parsed({**fields, "Timestamp": "Fri, 20 Nov 2026 13:30:00 +0200"}).occurred_at
    assert later.isoformat() == "2026-11-20T11:30:00+00:00"
    for wrong in ("soon", "Fri, 20 Nov 1926 13:30:00 +0000", "Fri, 99 Nov 2026 13:30:00 +0000"):
        with pytest.raises(Unreadable, match="Timestamp"):
            parsed({**fields, "Timestamp": wrong})


@pytest.mark.parametrize(
    ("fields", "name"),
    [(RECEIVED, name) for name in ("AccountSid", "SmsStatus", "From", "To")]
    + [(STATUS, name) for name in ("AccountSid", "To")]
    + [(CALLED, name) for name in ("AccountSid", "CallSid", "CallStatus")],
)
def test_what_every_webhook_has_must_be_there(fields: dict[str, str], name: str) -> None:
    """B17."""
    for broken in ("", "X" * 40, f"{fields[name]}Junk1{fields[name]}"):
        with pytest.raises(Unreadable):
            parsed({**fields, name: broken})
    with pytest.raises(Unreadable):
        parsed({key: value for key, value in fields.items() if key != name})


@pytest.mark.parametrize("name", ["MessageSid", "CallSid"])
@pytest.mark.parametrize(
    "sid", ["SM1", "XX" + "a" * 32, "SM" + "g" * 32, "SM" + "a" * 33, " " + SID]
)
def test_an_id_that_is_none_is_unreadable(name: str, sid: str) -> None:
    fields = {**RECEIVED, "CallStatus": "ringing"}
    del fields["MessageSid"]
    with pytest.raises(Unreadable, match=name):
        parsed({**fields, name: sid})


@pytest.mark.parametrize("fields", [RECEIVED, STATUS])
def test_a_boundary_that_was_moved_is_unreadable(fields: dict[str, str]) -> None:
    """B17: every two neighbours in turn, joined as their signature allows."""
    good = signature(fields)
    for first, second in pairwise(sorted(fields)):
        moved = {**fields, first: fields[first] + second + fields[second]}
        del moved[second]
        assert made().verify(request(moved, signed=good)) == "secrets[0]"
        with pytest.raises(Unreadable):
            parsed(moved)


def test_a_parameter_with_two_values_is_unreadable_with_one_it_is_not() -> None:
    """B18 and B19."""
    twice = [*RECEIVED.items(), ("Body", "Hello")]
    assert parsed(twice).data == parsed(RECEIVED).data
    with pytest.raises(Unreadable, match="'Body' has two values"):
        parsed([*RECEIVED.items(), ("Body", "Other")])


def test_the_token_of_our_own_message_comes_back() -> None:
    data = parsed(STATUS, url=f"{URL}?a=1&hub_attempt={DELIVERY}.3").data
    assert (data["delivery_id"], data["hub_attempt"]) == (DELIVERY, f"{DELIVERY}.3")


@pytest.mark.parametrize(
    "query",
    [
        "hub_attempt=",
        "hub_attempt=1",
        f"hub_attempt={DELIVERY}",
        f"hub_attempt={DELIVERY}.",
        f"hub_attempt={DELIVERY}.x",
        f"hub_attempt={DELIVERY}.1.2",
        f"hub_attempt={DELIVERY}.1&hub_attempt={DELIVERY}.2",
        f"hub_attempt=not-{DELIVERY}.1",
        f"other={DELIVERY}.1",
    ],
)
def test_what_is_no_token_is_ignored(query: str) -> None:
    assert (
        parsed(STATUS, url=f"{URL}?{query}").data.keys() & {"delivery_id", "hub_attempt"} == set()
    )


def test_a_message_to_us_is_never_ours() -> None:
    assert "delivery_id" not in parsed(RECEIVED, url=f"{URL}?hub_attempt={DELIVERY}.1").data


def test_media_are_listed_in_order() -> None:
    fields = {"NumMedia": "2", "MediaUrl0": "https://a.example/0", "MediaContentType0": "image/png"}
    event = parsed({**RECEIVED, **fields, "MediaUrl1": "https://a.example/1"})
    assert event.data["media"] == [
        {"url": "https://a.example/0", "content_type": "image/png"},
        {"url": "https://a.example/1"},
    ]
    assert event.attachments == ()
    assert "media" not in parsed({**RECEIVED, "MediaUrl0": ""}).data


@pytest.mark.parametrize(
    ("sender", "phone"),
    [
        ("whatsapp:+12025550123", "+12025550123"),
        ("rcs:+12025550123", "+12025550123"),
        ("messenger:12345678", None),
        ("73786", None),
        ("ACME Roof", None),
    ],
)
def test_a_phone_is_e164_or_absent_and_the_address_stays_in_native(
    sender: str, phone: str | None
) -> None:
    event = parsed({**RECEIVED, "From": sender})
    assert event.data.get("from") == phone
    assert event.data["native"]["From"] == sender


@pytest.mark.parametrize(
    ("code", "told"), [("30008", "30008"), ("0", None), ("", None), ("x", None)]
)
def test_an_error_code_is_told_when_there_is_one(code: str, told: str | None) -> None:
    assert parsed({**STATUS, "ErrorCode": code}).data.get("error_code") == told


@pytest.mark.parametrize("fields", [RECEIVED, STATUS, CALLED])
def test_what_may_differ_between_two_deliveries_is_not_in_the_fingerprint(
    fields: dict[str, str],
) -> None:
    volatile = {
        "ApiVersion": "2027-01-01",
        "RawDlrDoneDate": "2611200930",
        "FromCity": "VASS",
        "NumSegments": "2",
        "NewParameter": "x",
    }
    assert parsed({**fields, **volatile}).fingerprint == parsed(fields).fingerprint


@pytest.mark.parametrize(
    ("fields", "name", "value"),
    [
        (RECEIVED, "Body", "Goodbye"),
        (RECEIVED, "From", "+12025550124"),
        (STATUS, "ErrorCode", "30003"),
        (CALLED, "From", "+12025550124"),
    ],
)
def test_what_makes_it_another_fact_is_in_the_fingerprint(
    fields: dict[str, str], name: str, value: str
) -> None:
    assert parsed({**fields, name: value}).fingerprint != parsed(fields).fingerprint


def test_every_answer_is_empty_twiml() -> None:
    for events in ([], [parsed(RECEIVED)], [parsed(CALLED)]):
        reply = made().reply(events)
        assert (reply.status, reply.content_type) == (200, "text/xml")
        assert reply.body == b'<?xml version="1.0" encoding="UTF-8"?><Response/>'


EVENT = {"specversion": "1.0", "type": "com.twilio.x.y", "id": "EZ1", "data": {}}


def test_a_stream_gives_each_of_its_events() -> None:
    one, two = stream([EVENT, EVENT | {"id": "EZ2", "time": "2026-11-20T11:00:00Z"}])
    assert (one.external_id, one.type) == ("EZ1", "twilio.com.twilio.x.y")
    assert one.occurred_at == NOW
    assert two.occurred_at.hour == 11
    assert one.data == {"native": EVENT}
    assert [event.external_id for event in stream(EVENT)] == ["EZ1"]
    assert one.fingerprint != two.fingerprint


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        [],
        {},
        [[]],
        "x",
        7,
        [EVENT, None],
        {"id": "EZ1", "type": "com.twilio.x.y"},
        EVENT | {"id": None},
        EVENT | {"id": "a b"},
        EVENT | {"type": "a b"},
        EVENT | {"type": 7},
        EVENT | {"time": "soon"},
        EVENT | {"data": {"timestamp": "2026-11-20T11:00:00"}},
    ],
)
def test_other_json_is_unreadable(body: Any) -> None:
    with pytest.raises(Unreadable):
        stream(body)


def test_a_form_of_nothing_we_know_is_unreadable() -> None:
    with pytest.raises(Unreadable, match="neither MessageSid nor CallSid"):
        parsed({"AccountSid": RECEIVED["AccountSid"], "Sid": "NO1", "Level": "ERROR"})


def test_bytes_that_are_no_text_do_no_harm() -> None:
    received = request(RECEIVED)
    body = received.body.replace(b"Body=Hello", b"Body=%ff%fe\xff")
    (event,) = made().parse(replace(received, body=body))
    assert event.external_id == SID


def test_a_sample_takes_an_id_of_the_right_form_as_it_is() -> None:
    sample = made().sample("delivered", f"{SID}:x", NOW, live=True, url=URL)
    (event,) = made().parse(InboundRequest("POST", URL, sample.headers, sample.body, NOW))
    assert event.external_id == f"{SID}:delivered"
