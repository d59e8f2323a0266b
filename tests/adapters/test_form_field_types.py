"""The types of fields: what each takes, as what it is kept, and what it says to people."""

import json
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.contract.errors import InvalidSubmission
from adapters.contract.strict_json import storable
from adapters.form.submission import JSON
from tests.adapters.posting import FIXTURES
from tests.adapters.submitting import faults, form, parsed
from tests.cases import each_of

AT = "2026-11-20T12:00:00Z"
NAUGHTY = json.loads((FIXTURES / "naughty-strings" / "blns.json").read_text("utf-8"))
ALL_TYPES: dict[str, Any] = {
    "text": {},
    "longtext": {"type": "longtext"},
    "email": {"type": "email"},
    "phone": {"type": "phone"},
    "choice": {"type": "choice", "choices": ["a", "b"]},
    "choices": {"type": "choices", "choices": ["a", "b", "c"], "min": 1, "max": 2},
    "number": {"type": "number", "min": -5, "max": 1e6},
    "date": {"type": "date", "min": "2026-01-01", "max": "2026-12-31"},
    "consent": {"type": "consent", "text": "Call me"},
    "hidden": {"type": "hidden"},
    "file": {"type": "file"},
}


def only(declared: dict[str, Any]) -> Any:
    return form({"it": declared})


def kept(declared: dict[str, Any], *typed: Any) -> Any:
    body = urlencode([("it", one) for one in typed]).encode()
    return parsed(body, on=only(declared)).data["fields"].get("it")


def kept_of_json(declared: dict[str, Any], value: Any) -> Any:
    return parsed(json.dumps({"it": value}).encode(), JSON, only(declared)).data["fields"].get("it")


def fault(declared: dict[str, Any], *typed: Any) -> str:
    body = urlencode([("it", one) for one in typed]).encode()
    return faults(body, on=only(declared))["it"]


def fault_of_json(declared: dict[str, Any], value: Any) -> str:
    return faults(json.dumps({"it": value}).encode(), JSON, only(declared))["it"]


@pytest.mark.parametrize(("typed", "number"), [
    ("12", 12), ("-3", -3), ("+4", 4), ("007", 7), (" 12.50 ", 12.5), ("12.0", 12), ("0.1", 0.1),
    ("9007199254740993", "9007199254740993"), ("0.12345678901234567", "0.12345678901234567"),
    ("123456789012345678.5", "123456789012345678.5"), ("-0", 0),
    ("123456789012345678.123456789012345678", "123456789012345678.123456789012345678"),
])  # fmt: skip
def test_a_number_is_a_number_or_an_exact_decimal_text(typed: str, number: Any) -> None:
    found = kept({"type": "number"}, typed)
    assert found == number
    assert type(found) is type(number)


@given(st.decimals(-(10**17), 10**17, places=6, allow_nan=False))
def test_no_number_loses_a_digit(number: Any) -> None:
    found = kept({"type": "number"}, f"{number:f}")
    assert type(number)(repr(found) if isinstance(found, float) else str(found)) == number


@pytest.mark.parametrize("typed", [
    "1,000", "1e3", "NaN", "inf", "0x10", "1 2", "twelve", ".", "-", "1.", "\u0661", "1" * 19,
    "1\n2", "1_000",
])  # fmt: skip
def test_what_is_no_plain_decimal_is_no_number(typed: str) -> None:
    assert fault({"type": "number"}, typed).startswith("Please enter a number")


def test_numbers_are_held_to_their_bounds_exactly() -> None:
    bounded = {"type": "number", "min": 0.1, "max": 10}
    assert kept(bounded, "0.1") == 0.1
    assert kept(bounded, "10.000") == 10
    assert fault(bounded, "0.0999999999999999") == "This must not be less than 0.1."
    assert fault(bounded, "10.0000000000000001") == "This must not be more than 10."


@pytest.mark.parametrize("value", [True, [1], {"a": 1}, 10**19])
def test_json_that_is_no_number_is_told(value: Any) -> None:
    assert fault_of_json({"type": "number"}, value)
    assert kept_of_json({"type": "number"}, 0) == 0
    assert kept_of_json({"type": "number"}, 1.5) == 1.5


def test_a_date_is_a_day_that_exists_between_its_bounds() -> None:
    bounded = {"type": "date", "min": "2026-01-01", "max": "2026-12-31"}
    assert kept(bounded, " 2026-12-31 ") == "2026-12-31"
    assert fault(bounded, "2027-01-01") == "This must not be after 2026-12-31."
    assert fault(bounded, "2025-12-31") == "This must not be before 2026-01-01."
    for typed in ("2026-02-29", "20260201", "2026-W05-1", "1.2.2026", "2026-1-1", "x"):
        assert fault(bounded, typed).startswith("Please enter a date")


def test_choices_are_a_list_in_declared_order_each_once() -> None:
    declared = {"type": "choices", "choices": ["a", "b", "c"], "min": 2, "max": 2}
    assert kept(declared, "c", "a", "c") == ["a", "c"]
    assert kept_of_json(declared, ["b", "a"]) == ["a", "b"]
    assert kept_of_json({**declared, "min": 1}, "b") == ["b"]
    assert fault(declared, "a") == "Please take at least 2 of the choices."
    assert fault(declared, "a", "b", "c") == "Please take at most 2 of the choices."
    assert fault(declared, "a", "x") == "Please take one of the choices."
    assert fault_of_json(declared, [1, 2])
    assert fault_of_json(declared, {"a": "b"})
    assert kept(declared, "") is None
    assert kept_of_json(declared, []) is None


@pytest.mark.parametrize(("typed", "given"), [
    ("on", True), ("yes", True), ("I agree", True), ("", False), (" ", False), ("no", False),
    ("0", False), ("False", False), ("off", False),
])  # fmt: skip
def test_a_consent_is_kept_with_the_words_and_the_time(typed: str, *, given: bool) -> None:
    said = {"given": given, "text": "Call me", "at": AT}
    data = parsed(urlencode({"it": typed}).encode(), on=only(ALL_TYPES["consent"])).data
    assert (data["fields"]["it"], data["consent"]) == (said, said)


def test_a_box_that_was_not_ticked_was_not_given_and_may_be_required() -> None:
    data = parsed(b"x=1", on=only(ALL_TYPES["consent"])).data
    assert data["consent"]["given"] is False
    assert kept_of_json(ALL_TYPES["consent"], False)["given"] is False
    assert kept_of_json(ALL_TYPES["consent"], True)["given"] is True
    needed = ALL_TYPES["consent"] | {"required": True}
    for typed in ((), ("no",), ("",)):
        assert fault(needed, *typed).startswith("Please tick this")
    assert fault_of_json(needed, False).startswith("Please tick this")


def test_a_consent_that_is_repeated_later_is_the_same_submission() -> None:
    first, again = (parsed(b"it=on", on=only(ALL_TYPES["consent"])) for _ in range(2))
    assert first.fingerprint == again.fingerprint
    assert parsed(b"it=no", on=only(ALL_TYPES["consent"])).fingerprint != first.fingerprint


def test_texts_are_held_to_their_lengths_and_a_line_break_counts_once() -> None:
    """B83."""
    declared = {"type": "longtext", "max": 5, "min": 3}
    assert kept(declared, "ab\r\ncd") == "ab\r\ncd"
    assert fault(declared, "ab\r\ncde") == "This has 6 characters; at most 5 fit."
    assert fault(declared, "ab") == "This has 2 characters; at least 3 do."
    assert kept(declared, "") is None


def test_a_pattern_holds_for_the_whole_text_and_its_help_says_more() -> None:
    declared = {"pattern": "[0-9]{5}", "max": 10, "help": "Five digits."}
    assert kept(declared, "22401") == "22401"
    for typed in ("2240", "224011", "22401\u00a0", "x22401"):
        assert fault(declared, typed) == "This does not look as it should. Five digits."
    assert kept(declared, "") is None


def test_what_is_required_and_missing_is_told_for_each_type() -> None:
    on = form({name: one | {"required": True} for name, one in ALL_TYPES.items()})
    assert faults(b"x=1", on=on).keys() == ALL_TYPES.keys()
    blank = urlencode(dict.fromkeys(ALL_TYPES, "  ")).encode()
    assert faults(blank, on=on).keys() == ALL_TYPES.keys()


@each_of("text", NAUGHTY)
def test_naughty_strings_are_kept_as_they_came_or_told_in_every_type(text: str) -> None:
    """B71."""
    for name, declared in ALL_TYPES.items():
        try:
            found = kept(declared, text)
        except InvalidSubmission as refused:
            assert refused.faults["it"].endswith(".")  # noqa: PT017
            assert name not in ("text", "longtext", "hidden")
        else:
            if name in ("text", "longtext", "hidden", "email", "phone"):
                assert found == (text or None)


@pytest.mark.parametrize("text", ["{{7*7}}", "${7*7}", "<script>alert(1)</script>", "=cmd|x"])
def test_what_looks_like_code_stays_text(text: str) -> None:
    """B85."""
    assert parsed(urlencode({"it": text}).encode(), on=only({})).data["fields"] == {"it": text}


words = st.text() | st.sampled_from(["a", "b"])
numbers = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
said = words | st.booleans() | st.none() | numbers | st.lists(words)


@given(st.dictionaries(st.sampled_from([*ALL_TYPES]), said))
def test_whatever_a_script_says_is_kept_or_told(values: dict[str, Any]) -> None:
    body = json.dumps(values).encode()
    try:
        event = parsed(body, JSON, form(ALL_TYPES))
    except InvalidSubmission as refused:
        assert refused.faults.keys() <= ALL_TYPES.keys()  # noqa: PT017
    else:
        assert storable(event.data)[1] is None
