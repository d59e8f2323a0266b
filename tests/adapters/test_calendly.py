"""Particulars of Calendly: no id, moves as two events, payments, three minutes."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from adapters.calendly.inbound import CalendlyInbound
from adapters.contract.errors import NotVerified, Unreadable
from adapters.contract.event import Event
from adapters.contract.signatures.hmac import sign_timed
from tests.adapters.posting import FIXTURES, NOW, NOW_S, posted, vectors

SECRET = "calendly_secret_number_one"
ADAPTER = CalendlyInbound({"secrets": ["calendly_secret_number_two", SECRET]})


def recorded(name: str) -> dict[str, Any]:
    return json.loads((FIXTURES / "calendly" / f"{name}.json").read_bytes())


def parsed(envelope: Any) -> Event:
    (event,) = ADAPTER.parse(posted(json.dumps(envelope).encode()))
    return event


def changed(name: str, /, **changes: Any) -> Event:
    envelope = recorded(name)
    envelope["payload"] |= changes
    return parsed(envelope)


@pytest.mark.parametrize("vector", vectors("calendly"), ids=lambda one: one["id"])
def test_vectors(vector: dict[str, Any]) -> None:
    ours = CalendlyInbound({"secrets": vector["secrets"]})
    at = datetime.fromtimestamp(vector["now"], UTC)
    request = posted(vector["body"], vector["headers"], at=at)
    if vector["expect"] == "valid":
        assert ours.verify(request) == "secrets[0]"
    else:
        with pytest.raises(NotVerified, match="181 s ago; at most 180 s"):
            ours.verify(request)


def test_of_two_secrets_the_one_that_signed_is_named() -> None:
    headers = {"Calendly-Webhook-Signature": sign_timed(SECRET, NOW_S, b"{}")}
    assert ADAPTER.verify(posted(b"{}", headers)) == "secrets[1]"
    with pytest.raises(NotVerified, match="in the future"):
        ADAPTER.verify(posted(b"{}", headers, at=NOW - timedelta(seconds=181)))
    with pytest.raises(NotVerified, match="Calendly-Webhook-Signature: missing"):
        ADAPTER.verify(posted(b"{}"))


def test_a_move_is_a_cancellation_that_says_so_and_a_booking() -> None:
    moved = changed("invitee.canceled", rescheduled=True, new_invitee="https://x/invitees/2")
    assert (moved.type, moved.data["status"]) == ("booking.cancelled", "rescheduled")
    assert changed("invitee.canceled").data["status"] == "cancelled"
    again = changed("invitee.created", old_invitee="https://x/invitees/1")
    assert (again.type, again.data["status"]) == ("booking.created", "active")


def test_a_booking_in_our_words() -> None:
    data = changed(
        "invitee.created",
        name=None,
        first_name="Zoë",
        last_name="Doe",
        email="Zoe@EXAMPLE.com",
        text_reminder_number="+1 202-555-0123",
        payment={"amount": 50, "currency": "usd", "provider": "stripe", "successful": True},
    ).data
    assert (data["name"], data["email"], data["phone"]) == (
        "Zoë Doe",
        "Zoe@example.com",
        "+12025550123",
    )
    assert (data["amount"], data["currency"]) == (5000, "USD")
    assert data["starts_at"] == "2026-06-10T06:30:00Z"
    assert data["ends_at"] == "2026-06-10T07:00:00Z"


@pytest.mark.parametrize(
    ("amount", "currency", "minor"),
    [(19.99, "USD", 1999), ("50.0", "EUR", 5000), (500, "JPY", 500)],
)
def test_a_payment_is_in_minor_units(amount: Any, currency: str, minor: int) -> None:
    payment = {"amount": amount, "currency": currency}
    assert changed("invitee.created", payment=payment).data["amount"] == minor


@pytest.mark.parametrize(
    "payment",
    [
        {"amount": 19.995, "currency": "USD"},
        {"amount": -1, "currency": "USD"},
        {"amount": True, "currency": "USD"},
        {"amount": "free", "currency": "USD"},
        {"amount": 10},
        {"amount": 10, "currency": "dollars"},
    ],
)
def test_a_payment_that_is_none_is_unreadable(payment: dict[str, Any]) -> None:
    with pytest.raises(Unreadable, match="payment"):
        changed("invitee.created", payment=payment)


def test_a_time_that_is_none_is_unreadable() -> None:
    for strange in ("tomorrow", 7, "2026-06-10T06:30:00"):
        with pytest.raises(Unreadable, match="start_time"):
            changed("invitee.created", scheduled_event={"start_time": strange})


def test_a_retry_is_the_same_event_and_the_next_change_is_another() -> None:
    first = parsed(recorded("invitee.created"))
    retry = parsed(recorded("invitee.created") | {"created_at": "2026-06-24T23:00:00Z"})
    assert (first.external_id, first.fingerprint) == (retry.external_id, retry.fingerprint)
    later = changed("invitee.created", updated_at="2026-06-09T21:37:18Z")
    other = changed("invitee.created", uri="https://api.calendly.com/scheduled_events/1/invitees/2")
    cancelled = parsed(recorded("invitee.created") | {"event": "invitee.canceled"})
    ids = {event.external_id for event in (first, later, other, cancelled)}
    assert len(ids) == 4


def test_marked_twice_as_a_no_show_is_two_events() -> None:
    def mark(number: int) -> Event:
        uri = f"https://api.calendly.com/invitee_no_shows/{number}"
        no_show = {"uri": uri, "created_at": "2026-06-24T22:34:08Z"}
        return changed("invitee_no_show.created", no_show=no_show)

    assert mark(1).external_id != mark(2).external_id
    assert mark(1).occurred_at == datetime(2026, 6, 24, 22, 34, 8, tzinfo=UTC)


@pytest.mark.parametrize("field", ["uri", "updated_at"])
@pytest.mark.parametrize("value", [None, "", 7, "two words", "x" * 256])
def test_without_what_makes_its_id_it_is_unreadable(field: str, value: Any) -> None:
    with pytest.raises(Unreadable):
        changed("invitee.created", **{field: value})


@pytest.mark.parametrize("envelope", [[], {}, {"event": "invitee.created"}, {"payload": {}}])
def test_what_is_no_webhook_of_calendly_is_unreadable(envelope: Any) -> None:
    with pytest.raises(Unreadable):
        parsed(envelope)
