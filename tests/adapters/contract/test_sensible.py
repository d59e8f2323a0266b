"""Canonical data is where it belongs: in each field stands what the field is for."""

from typing import Any

import pytest

from adapters.contract.event import Event
from tests.adapters.contract.recorded import RECEIVED_AT, Fixture, every_body
from tests.adapters.contract.sensible import complaints

GOOD: dict[str, dict[str, Any]] = {
    "lead.submitted": {
        "name": "Dr. Jane Maria Doe-O'Neill, Jr.",
        "email": "jane.doe@example.com",
        "phone": "+12025550123",
        "message": "It leaks. Write to jane@example.com or see https://example.com",
        "page": "https://acme.example/contact?utm_source=ads",
        "consent": {"given": True, "text": "Call me", "at": "2026-11-20T12:00:00Z"},
    },
    "booking.created": {
        "object_id": "https://api.calendly.com/scheduled_events/1/invitees/2",
        "amount": 0,
        "currency": "USD",
        "status": "active",
        "starts_at": "2026-11-22T12:00:00.250Z",
        "items": [{"name": "Roof inspection"}],
    },
    "email.received": {"from": "jane@example.com", "to": ["a@example.com"], "text": "Hello"},
    "sms.received": {
        "from": "+12025550123",
        "media": [{"url": "https://api.twilio.com/1"}],
        "channel": "whatsapp",
    },
    "contact.changed": {"object_id": "123", "changed": ["firstname"]},
}


@every_body
def test_canonical_data_is_where_it_belongs(fixture: Fixture) -> None:
    for event in fixture.adapter().parse(fixture.signed()):
        assert complaints(event) == []


@pytest.mark.parametrize("kind", GOOD)
def test_good_data_is_not_complained_about(kind: str) -> None:
    assert complaints(event_of(kind, GOOD[kind])) == []


@pytest.mark.parametrize(("kind", "wrong", "complaint"), [
    ("lead.submitted", {"name": "It leaks above the kitchen. When could you come?"}, "a sentence"),
    ("lead.submitted", {"name": "I want a quote for a new roof on my house"}, "a sentence"),
    ("lead.submitted", {"name": "Call me", "message": "Call me"}, "what the person wrote"),
    ("lead.submitted", {"name": "jane@example.com"}, "holds an address"),
    ("lead.submitted", {"name": "see www.spam.example"}, "holds an address"),
    ("lead.submitted", {"name": "Jane\nDoe"}, "one line"),
    ("lead.submitted", {"name": "J" * 81}, "one line"),
    ("lead.submitted", {"name": ["Jane"]}, "one line"),
    ("lead.submitted", {"name": " "}, "says nothing"),
    ("lead.submitted", {"email": "Jane Doe"}, "no e-mail address"),
    ("lead.submitted", {"email": "Jane <jane@example.com>"}, "no e-mail address"),
    ("lead.submitted", {"email": "+12025550123"}, "no e-mail address"),
    ("lead.submitted", {"phone": "(202) 555-0123"}, "E.164"),
    ("lead.submitted", {"phone": "jane@example.com"}, "E.164"),
    ("lead.submitted", {"page": "/contact"}, "http or https"),
    ("lead.submitted", {"consent": {"at": "yesterday"}}, "consent.at"),
    ("payment.succeeded", {"amount": 1050}, "no currency"),
    ("payment.succeeded", {"amount": "10.50", "currency": "USD"}, "no whole number"),
    ("payment.succeeded", {"amount": 1050, "currency": "usd"}, "ISO 4217"),
    ("payment.succeeded", {"object_id": "The payment of Jane"}, "no id"),
    ("payment.succeeded", {"url": "javascript:alert(1)"}, "http or https"),
    ("booking.created", {"starts_at": "2026-11-20T12:00:00+01:00"}, "UTC"),
    ("booking.created", {"starts_at": 1795176000}, "UTC"),
    ("booking.created", {"ends_at": "2026-02-30T12:00:00Z"}, "time that exists"),
    ("booking.created", {"status": "we are looking forward to it"}, "a sentence"),
    ("booking.created", {"items": ["Roof"]}, "list of objects"),
    ("contact.changed", {"changed": "firstname"}, "list of words"),
    ("email.received", {"from": "+12025550123"}, "from: is no e-mail address"),
    ("email.received", {"to": ["Jane Doe"]}, "to: is no e-mail address"),
    ("sms.received", {"from": "whatsapp:+12025550123"}, "from: is no telephone number"),
    ("sms.received", {"media": [{"url": "cid:1"}]}, "http or https"),
    ("sms.received", {"channel": "letter"}, "expected one of"),
])  # fmt: skip
def test_what_a_careless_adapter_puts_somewhere_else_is_noticed(
    kind: str, wrong: dict[str, Any], complaint: str
) -> None:
    [said] = complaints(event_of(kind, wrong))
    assert complaint in said
    assert complaints(event_of("acme.bought", wrong)) == []


def event_of(kind: str, data: dict[str, Any]) -> Event:
    return Event(kind, "bought", "1", RECEIVED_AT, data | {"native": {}}, fingerprint=b"f")
