"""Bodies of authentic webhooks: any content is kept byte for byte and answered 200 (B28 to B50)."""

import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.running import stripe_event
from tests.web.serving import Web

BOM = b"\xef\xbb\xbf"
MOST_PARSE_S = 5.0


def changed(event_id: str, old: str, new: str) -> bytes:
    body = stripe_event(event_id)
    assert old.encode() in body
    return body.replace(old.encode(), new.encode())


def amount(value: str) -> bytes:
    return changed("evt_amount", '"amount_received": 4200', f'"amount_received": {value}')


def event_id(value: str) -> bytes:
    return changed("evt_x", '"id": "evt_x"', f'"id": {value}')


UNREADABLE = {
    "B28 empty": b"",
    "B29 cut": b'{"id":"evt_1"',
    "B30 array": b"[1]",
    "B30 string": b'"evt_1"',
    "B30 number": b"7",
    "B30 null": b"null",
    "B31 not UTF-8": b"\xff\xfe" + stripe_event("evt_31"),
    "B33 UTF-16": stripe_event("evt_33").decode().encode("utf-16"),
    "B34 deep": b"[" * 100_000,
    "B34 deep objects": b'{"a":' * 50_000,
    "B35 endless integer": amount("1" * 5000),
    "B36 NaN": amount("NaN"),
    "B36 Infinity": amount("-Infinity"),
    "B36 1e400 as money": amount("1e400"),
    "B37 text": amount('"4200"'),
    "B37 float": amount("42.5"),
    "B37 2^63": amount(str(2**63)),
    "B37 bool": amount("true"),
    "B40 duplicate key": b'{"id":"evt_a",' + stripe_event("evt_b").lstrip(b"{"),
    "B41 missing": changed("evt_41", '"id": "evt_41",', ""),
    "B41 null": event_id("null"),
    "B41 empty": event_id('""'),
    "B41 number": event_id("7"),
    "B41 10 kB": event_id(f'"{"e" * 10_000}"'),
    "B42 trailing space": event_id('"evt_x "'),
    "B45 milliseconds": stripe_event("evt_45").replace(b'"created": ', b'"created": 1'),
}


@pytest.mark.parametrize("body", UNREADABLE.values(), ids=UNREADABLE)
def test_what_cannot_be_read_is_kept_as_unreadable(web: Web, body: bytes) -> None:
    before = web.ids()
    started = time.monotonic()
    answer = web.send(body)
    assert (answer.status, answer.body) == (200, b"")
    assert time.monotonic() - started < MOST_PARSE_S
    kept = web.kept(before)
    assert kept.events == []
    [row] = kept.requests
    assert row["state"] == "unreadable"
    assert row["reason"]
    assert web.shown(row["id"])["body"] == body


READABLE = {
    "B32 byte order mark": ("evt_32", BOM + stripe_event("evt_32")),
    "B36 1e400 elsewhere": (
        "evt_36",
        stripe_event("evt_36", x=0).replace(b'"x": 0', b'"x": 1e400'),
    ),
    "B38 NUL": ("evt_38", stripe_event("evt_38", metadata={"note": "a\x00b"})),
    "B38 NUL in a key": ("evt_38k", stripe_event("evt_38k", metadata={"a\x00b": "c"})),
    "B39 lone surrogate": ("evt_39", stripe_event("evt_39", metadata={"note": "a\ud800b"})),
    "B39 lone surrogate in mail": ("evt_39m", stripe_event("evt_39m", receipt_email="\udfff@b.c")),
    "B42 lower": ("evt_case", stripe_event("evt_case")),
    "B42 upper": ("EVT_CASE", stripe_event("EVT_CASE")),
    "B43 unknown type": ("evt_43", changed("evt_43", "payment_intent.succeeded", "foo.bar")),
    "B37 zero": (
        "evt_zero",
        changed("evt_zero", '"amount_received": 4200', '"amount_received": 0'),
    ),
}


@pytest.mark.parametrize(("event_id", "body"), READABLE.values(), ids=READABLE)
def test_what_is_odd_but_valid_is_an_event_that_every_list_shows(
    web: Web, event_id: str, body: bytes
) -> None:
    before = web.ids()
    assert web.send(body).status == 200
    kept = web.kept(before)
    [row], [event] = kept.requests, kept.events
    assert row["state"] == "accepted"
    assert event["external_id"] == event_id
    assert web.shown(row["id"])["body"] == body
    assert web.event(event["id"])["request_id"] == row["id"]


def test_what_no_database_can_hold_is_named_on_the_event(web: Web) -> None:
    """B38: the rest of the data is there."""
    before = web.ids()
    assert web.send(stripe_event("evt_named", metadata={"note": "a\x00b"})).status == 200
    [row] = web.kept(before).events
    event = web.event(row["id"])
    assert "note" in event["data_error"]
    assert event["data"]["amount"] == 4200
    assert event["data"]["metadata"] == {"note": "a\ufffdb"}


def test_an_unknown_type_makes_no_work(web: Web) -> None:
    """B43."""
    before = web.ids()
    web.send(changed("evt_idle", "payment_intent.succeeded", "foo.bar"))
    [event] = web.kept(before).events
    assert (event["type"], event["state"]) == ("stripe.foo.bar", "unmatched")
    assert web.deliveries(event["id"]) == []


def test_a_thin_event_is_kept_as_incomplete(web: Web) -> None:
    """B44."""
    thin = {
        "id": "evt_thin",
        "object": "v2.core.event",
        "type": "v1.billing.meter.error_report_triggered",
        "created": "2026-11-20T10:00:00.000Z",
        "livemode": True,
    }
    before = web.ids()
    assert web.send(json.dumps(thin).encode()).status == 200
    [event] = web.kept(before).events
    assert event["state"] == "incomplete"


def test_the_same_event_again_does_nothing_and_is_counted(web: Web) -> None:
    """B46."""
    body = stripe_event("evt_46")
    before = web.ids()
    assert [web.send(body).status for _ in range(2)] == [200, 200]
    kept = web.kept(before)
    [event] = kept.events
    assert event["duplicates"] == 1
    assert len(web.deliveries(event["id"])) == 1
    assert sorted(row["state"] for row in kept.requests) == ["accepted", "duplicate"]


def test_the_same_id_with_another_body_is_a_conflict_and_the_first_stands(web: Web) -> None:
    """B47."""
    first, second = stripe_event("evt_47"), stripe_event("evt_47", amount_received=1)
    before = web.ids()
    assert [web.send(body).status for body in (first, second)] == [200, 200]
    kept = web.kept(before)
    [event] = kept.events
    assert web.event(event["id"])["data"]["amount"] == 4200
    [conflict] = [row for row in kept.requests if row["conflict"]]
    assert web.shown(conflict["id"])["body"] == second


def test_fifty_at_once_are_one_event(web: Web) -> None:
    """B48."""
    body = stripe_event("evt_48")
    before = web.ids()
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(web.send, [body] * 50))
    assert {answer.status for answer in answers} == {200}
    kept = web.kept(before)
    [event] = kept.events
    assert event["duplicates"] == 49
    assert len(web.deliveries(event["id"])) == 1


def test_events_out_of_order_are_both_kept(web: Web) -> None:
    """B49."""
    before = web.ids()
    for event_id, kind in (("evt_49b", "customer.updated"), ("evt_49a", "customer.created")):
        body = changed(event_id, "payment_intent.succeeded", kind)
        assert web.send(body).status == 200
    kinds = {event["native_type"] for event in web.kept(before).events}
    assert kinds == {"customer.updated", "customer.created"}


@pytest.mark.parametrize(
    ("keys", "status", "state"),
    [(10_000, 200, "accepted"), (10_001, 200, "unreadable"), (80_000, 200, "unreadable"),
     (200_000, 413, None)],
)  # fmt: skip
def test_very_many_keys_are_unreadable_or_too_large(
    web: Web, keys: int, status: int, state: str | None
) -> None:
    """B50; the bound is that of S14."""
    many = ",".join(f'"k{n}":0' for n in range(keys))
    body = changed(f"evt_50_{keys}", '"metadata": {}', f'"many": {{{many}}}, "metadata": {{}}')
    before = web.ids()
    started = time.monotonic()
    assert web.send(body).status == status
    assert time.monotonic() - started < MOST_PARSE_S
    kept = web.kept(before)
    assert [row["state"] for row in kept.requests] == ([state] if state else [])
    assert len(kept.events) == (state == "accepted")
    for row in kept.requests:
        assert web.shown(row["id"])["body"] == body


def test_the_content_type_does_not_decide(web: Web) -> None:
    """B62."""
    before = web.ids()
    for n, headers in enumerate(([], [("Content-Type", "text/plain")], [("Content-Type", "?")])):
        assert web.send(stripe_event(f"evt_62_{n}"), *headers).status == 200
    assert len(web.kept(before).events) == 3


def test_the_command_line_lists_all_of_it(web: Web) -> None:
    """B45 and all the others: no stored request keeps a page from being listed."""
    web.send(b"\xff\x00\xfe")
    web.send(stripe_event("evt_listed", metadata={"\x00": "\ud800"}))
    requests = web.running.cli("requests", "--limit", "1000")
    [event] = web.running.cli("events", "--external-id", "evt_listed")
    assert {"accepted", "unreadable"} <= {row["state"] for row in requests}
    for row_id in (requests[1]["id"], event["id"]):
        assert web.running.cli("show", row_id)["id"] == row_id
    assert web.running.run("events", "--limit", "1000").returncode == 0
