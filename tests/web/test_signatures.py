"""Signatures that do not verify get 401 and no event (rows B01 to B13)."""

import json
import time

import pytest

from tests.listing import request_rows
from tests.running import STRIPE_SECRET, stripe_event, stripe_signature, until
from tests.web.serving import PREVIOUS_SECRET, Web, request

BODY = stripe_event("evt_signatures")


def now() -> int:
    return int(time.time())


def v1(secret: str = STRIPE_SECRET, at_s: int | None = None) -> str:
    return stripe_signature(BODY, at_s=at_s, secret=secret).partition("v1=")[2]


FORGED = {
    "B02: empty": lambda: "",
    "B03: garbage": lambda: "t=abc,v1=zz",
    "B04: not ASCII": lambda: f"t={now()},v1=\xe9",
    "B04: 64 characters that are not ASCII": lambda: f"t={now()},v1=" + "\xe9" * 64,
    "B05: only v0": lambda: f"t={now()},v0={v1()}",
    "B08: signed with nothing": lambda: stripe_signature(BODY, secret=""),
    "B09: 301 s old": lambda: stripe_signature(BODY, at_s=now() - 302),
    "B10: from the future": lambda: stripe_signature(BODY, at_s=now() + 3600),
    "B11: 5000 digits": lambda: f"t={'1' * 5000},v1={v1()}",
    "B12: made of another spelling": lambda: stripe_signature(
        json.dumps(json.loads(BODY)).encode()
    ),
    "B13: another endpoint's": lambda: stripe_signature(BODY, secret="whsec_of_another_endpoint"),
    "two times": lambda: f"t={now()}," + stripe_signature(BODY),
    "nothing but commas": lambda: ",,,,",
}


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED)
def test_a_forged_signature_is_401_and_no_event(web: Web, forge) -> None:
    before = web.ids()
    answer = web.send(BODY, ("Stripe-Signature", forge()))
    assert answer.status == 401
    assert answer.headers.get("server") in (None, "gunicorn")
    kept = web.kept(before)
    assert kept.events == []
    assert {row["state"] for row in kept.requests} <= {"rejected"}


def test_no_signature_at_all_is_401(web: Web) -> None:
    """B01."""
    before = web.ids()
    answer = web.exchange(request(BODY).replace(b"Stripe-Signature", b"X-Signature"))
    assert answer is not None
    assert answer.status == 401
    assert web.kept(before).events == []


def second_of_two(body: bytes) -> str:
    return stripe_signature(body).replace(",v1=", f",v1={'0' * 64},v1=")


def previous(body: bytes) -> str:
    return stripe_signature(body, secret=PREVIOUS_SECRET)


@pytest.mark.parametrize(
    ("sign", "label"), [(second_of_two, "secrets[0]"), (previous, "secrets[1]")]
)
def test_while_a_secret_is_rolled_either_is_taken(web: Web, sign, label: str) -> None:
    """B06 and B07."""
    body = stripe_event(f"evt_rolled_{sign.__name__}")
    before = web.ids()
    answer = web.send(body, ("Stripe-Signature", sign(body)))
    assert (answer.status, answer.body) == (200, b"")
    kept = web.kept(before)
    assert [event["external_id"] for event in kept.events] == [f"evt_rolled_{sign.__name__}"]
    assert kept.requests[0]["signed_by"] == label


def test_a_test_mode_event_is_taken_and_marked(web: Web) -> None:
    """B13, the other half."""
    body = stripe_event("evt_test_mode").replace(b'"livemode": true', b'"livemode": false')
    before = web.ids()
    assert web.send(body).status == 200
    [event] = web.kept(before).events
    assert event["live"] is False


def test_refusals_are_counted_even_those_that_leave_no_trace(web: Web) -> None:
    path = "/webhooks/counted"
    for _ in range(12):
        assert web.send(BODY, ("Stripe-Signature", "t=1,v1=0"), path=path).status == 401
    refusals = [
        (request(b"{}", ("Content-Encoding", "gzip"), path=path), 415),
        (request(b"{}", path=path, method="GET"), 405),
        (request(b"{}", ("Host", "evil.example"), path=path), 400),
        (request(b"", ("Content-Length", "99999999"), path=path), 413),
        (request(b"{}", ("Content-Length", "abc"), path=path), 400),
    ]
    for raw, status in refusals:
        answer = web.exchange(raw)
        assert answer is not None
        assert answer.status == status
    until(lambda: web.rejected("counted") == 12 + len(refusals), 30, "the counts")
    with web.store.read() as connection:
        traces = request_rows(connection, source="counted")
    assert 1 <= len(traces) <= 10, "five a minute, and a minute may have ended"
    assert {row["state"] for row in traces} == {"rejected"}
