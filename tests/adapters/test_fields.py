"""The values that payloads share, as functions and as marshmallow fields."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import Schema, ValidationError

from adapters.contract import fields
from adapters.contract.money import minor_exponent

GOOD = {
    "at": 1795176000,
    "sent_at": "2026-11-20T13:00:00+01:00",
    "amount": 1099,
    "currency": "usd",
    "id": "evt_1",
}


class Payload(Schema):
    at = fields.EpochSeconds(required=True)
    sent_at = fields.Instant(required=True)
    amount = fields.MinorUnits(required=True)
    currency = fields.CurrencyCode(required=True)
    id = fields.ExternalId(required=True)


def test_every_time_is_utc_whatever_offset_was_sent() -> None:
    noon = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
    loaded = Payload().load(GOOD)
    assert loaded["at"] == loaded["sent_at"] == noon
    assert loaded["at"].utcoffset() == loaded["sent_at"].utcoffset() == timedelta(0)
    assert fields.rfc3339(loaded["sent_at"]) == "2026-11-20T12:00:00Z"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("at", 1795176000000),
        ("at", True),
        ("at", "1795176000"),
        ("at", 946684799),
        ("sent_at", "2026-11-20T13:00:00"),
        ("sent_at", "1999-12-31T23:59:59Z"),
        ("sent_at", "0001-01-01T00:00:00+14:00"),
        ("sent_at", 7),
        ("amount", 10.0),
        ("amount", True),
        ("amount", "1099"),
        ("amount", -1),
        ("amount", 2**63),
        ("currency", "dollar"),
        ("currency", "e\u20ac\u20ac"),
        ("id", " evt_1"),
        ("id", ""),
        ("id", "e" * 256),
        ("id", 7),
    ],
)
def test_a_wrong_value_is_a_fault_of_its_field(name: str, value: Any) -> None:
    with pytest.raises(ValidationError) as caught:
        Payload().load(GOOD | {name: value})
    assert list(caught.value.normalized_messages()) == [name]


@pytest.mark.parametrize(
    ("given_text", "address"),
    [
        (" Jane.Doe@EXAMPLE.com ", "Jane.Doe@example.com"),
        ("jane@", None),
        ("jane doe@example.com", None),
        ("a@b@c", None),
        ("", None),
        (None, None),
        (7, None),
    ],
)
def test_only_the_domain_of_an_address_is_lowered(given_text: Any, address: str | None) -> None:
    assert fields.email_address(given_text) == address


@given(st.text())
def test_a_phone_is_e164_or_absent(value: str) -> None:
    for text in (value, f"+{value}"):
        number = fields.phone_e164(text)
        assert number is None or (number.isascii() and number[1:].isdigit() and len(number) <= 16)


def test_minor_units_follow_iso_4217() -> None:
    exponents = [minor_exponent(code) for code in ("USD", "JPY", "ISK", "UGX", "MGA", "KWD", "CLF")]
    assert exponents == [2, 0, 0, 0, 2, 3, 4]
