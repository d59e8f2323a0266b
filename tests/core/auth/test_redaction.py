"""Redaction for users without access to personal data: shapes stay, values are masked."""

import string
from uuid import UUID

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.auth.redaction import MASK, is_personal, mask_all, redact, redact_text
from tests.timing import little_work

NUMBERS = st.builds(
    lambda area, rest: phonenumbers.parse(f"+1{area}{rest:07}"),
    st.integers(201, 989),
    st.integers(2_000_000, 9_999_999),
)
FORMATS = (
    phonenumbers.PhoneNumberFormat.E164,
    phonenumbers.PhoneNumberFormat.NATIONAL,
    phonenumbers.PhoneNumberFormat.INTERNATIONAL,
    phonenumbers.PhoneNumberFormat.RFC3966,
)
PHONES = st.builds(phonenumbers.format_number, NUMBERS, st.sampled_from(FORMATS))
WORDS = st.text(string.ascii_letters + " .,;:!?\n(){}<>\"'äßж", max_size=30)
KEYS = st.text(string.ascii_letters + "_", min_size=1, max_size=12)


def trees(secret):
    """Build a strategy of trees with a secret in one of their texts or keys."""
    texts = st.builds(lambda before, after: f"{before} {secret} {after}", WORDS, WORDS)
    leaves = texts | st.integers() | st.booleans() | st.none() | WORDS
    return st.recursive(
        leaves,
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(KEYS | st.just(f"of {secret}"), inner, max_size=4)
        ),
        max_leaves=12,
    )


@given(data=st.data(), email=st.emails())
def test_no_email_address_survives(data, email):
    assert email not in repr(redact(data.draw(trees(email))))


@given(data=st.data(), phone=PHONES)
def test_no_phone_number_survives(data, phone):
    shown = repr(redact(data.draw(trees(phone))))
    assert phone not in shown
    digits = "".join(filter(str.isdigit, phone))
    assert digits not in "".join(filter(str.isdigit, repr(redact(f"call {phone} now"))))


@given(
    tree=st.recursive(
        WORDS | st.integers() | st.none(), lambda inner: st.lists(inner), max_leaves=9
    )
)
def test_the_shape_stays(tree):
    def shape(node):
        return [shape(one) for one in node] if isinstance(node, list) else None

    assert shape(redact(tree)) == shape(tree)


@pytest.mark.parametrize(
    "key",
    ["email", "Email", "receipt_email", "firstName", "first_name", "From", "FromCity", "waId",
     "PHONE", "billing_address", "Body", "profileName", "WA_ID"],
)  # fmt: skip
def test_keys_that_name_a_persons_own_are_known_however_they_are_written(key):
    assert is_personal(key)
    assert redact({key: {"deep": ["Jane", 7, True, None]}}) == {
        key: {"deep": [MASK, MASK, True, None]}
    }


@pytest.mark.parametrize(
    "key", ["id", "object", "amount", "currency", "status", "livemode", "type"]
)
def test_keys_that_do_not_are_left_alone(key):
    assert redact({key: "succeeded"}) == {key: "succeeded"}


@pytest.mark.parametrize(
    "text",
    ["evt_1NG8Du2eZvKYlo2CUI79vXWy", "2026-11-21T08:01:02.123Z", "2026-11-21", "payment.succeeded",
     str(UUID(int=0x0192F8A0123478908234123456789012)), f"SM{'0' * 32}", "42.00", "", "a b"],
)  # fmt: skip
def test_ids_and_times_stay_readable(text):
    assert redact_text(text) == text


def test_an_address_that_hides_in_a_link_does_not_survive():
    assert "jane" not in redact_text("https://x.example/?to=jane%40example.com")


def test_two_addresses_as_keys_stay_two():
    assert list(redact({"a@x.example": 1, "b@x.example": 2}).values()) == [1, 2]


def test_what_was_typed_into_a_form_is_masked_whatever_it_is_called():
    assert mask_all({"vorname": "Jane", "kinder": 3, "neu": True}) == {
        "vorname": MASK, "kinder": MASK, "neu": True,
    }  # fmt: skip


@pytest.mark.parametrize("piece", ["1", "a", "1 ", "20", "2026-11-", "0123456-", "f", "a@", "(1"])
def test_a_hostile_text_costs_no_more_than_a_long_one(piece):
    text = piece * (200_000 // len(piece))
    with little_work():
        redact_text(text)
