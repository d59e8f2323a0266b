"""Amounts that come as decimal numbers become whole minor units, or nothing at all."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.contract.errors import Unreadable
from adapters.contract.money import LARGEST_MINOR, minor_exponent, minor_units_of


@pytest.mark.parametrize(
    ("value", "currency", "minor"),
    [
        ("10.50", "USD", 1050),
        ("0.00", "USD", 0),
        ("10", "USD", 1000),
        ("10.500", "USD", 1050),
        ("500", "JPY", 500),
        ("500.00", "JPY", 500),
        ("1.234", "KWD", 1234),
        (10, "USD", 1000),
        (19.99, "USD", 1999),
        (0.1, "USD", 10),
        ("90071992547409.91", "USD", LARGEST_MINOR),
    ],
)
def test_an_amount_in_whole_units_is_exact_in_minor_ones(
    value: Any, currency: str, minor: int
) -> None:
    assert minor_units_of(value, currency, "amount") == minor


@pytest.mark.parametrize(
    "value",
    [
        "10.505",
        "-1.00",
        "",
        " 1",
        "1 ",
        "1,50",
        "1e3",
        "NaN",
        "Infinity",
        "+1",
        ".5",
        "1.",
        "1_0",
        "\u0661",
        "9" * 10_000,
        "90071992547409.92",
        "0.000000000001",
        10.505,
        -1,
        float("inf"),
        float("nan"),
        1e300,
        True,
        None,
        [],
        Decimal("1"),
    ],
)
def test_what_is_no_amount_is_unreadable(value: Any) -> None:
    with pytest.raises(Unreadable, match="amount "):
        minor_units_of(value, "USD", "amount")


@given(st.integers(0, LARGEST_MINOR), st.sampled_from(["USD", "JPY", "KWD", "CLF"]))
def test_every_amount_comes_back_from_its_text(minor: int, currency: str) -> None:
    exponent = minor_exponent(currency)
    text = f"{Decimal(minor).scaleb(-exponent):.{exponent}f}"
    assert minor_units_of(text, currency, "amount") == minor
