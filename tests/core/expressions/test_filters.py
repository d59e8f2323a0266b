"""Filters for money, times and phone numbers."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.errors import ExpressionError, MissingField
from tests.core.expressions.rendering import render


@pytest.mark.parametrize(
    ("amount", "currency", "written"),
    [
        (4200, "usd", "$42.00"),
        (4200, "USD", "$42.00"),
        (5, "usd", "$0.05"),
        (0, "usd", "$0.00"),
        (-4200, "usd", "-$42.00"),
        (123456789, "usd", "$1,234,567.89"),
        (4200, "jpy", "¥4,200"),
        (4200, "kwd", "KWD 4.200"),
        (4200, "eur", "€42.00"),
        (2**53 - 1, "usd", "$90,071,992,547,409.91"),
    ],
)
def test_money_has_the_decimals_of_its_currency(amount: int, currency: str, written: str) -> None:
    assert render("{{ data.a | money(data.c) }}", a=amount, c=currency) == written


@pytest.mark.parametrize(
    ("amount", "currency"),
    [("4200", "usd"), (42.0, "usd"), (True, "usd"), ([1], "usd"), (1, 5), (1, "dollars"), (1, "")],
)
def test_money_of_anything_but_a_whole_number_and_a_code_is_refused(
    amount: Any, currency: Any
) -> None:
    with pytest.raises(ExpressionError):
        render("{{ data.a | money(data.c) }}", a=amount, c=currency)


def test_money_without_its_currency_says_how_to_give_it() -> None:
    with pytest.raises(ExpressionError, match=r"money\(data\.currency\)"):
        render("{{ data.amount | money }}")
    with pytest.raises(ExpressionError, match=r"money\(data\.currency\)"):
        render("{{ data.amount | money(data.currency) }}")


def test_money_of_null_is_a_missing_field() -> None:
    with pytest.raises(MissingField):
        render("{{ data.gone | money('usd') }}")


@pytest.mark.parametrize(
    ("moment", "template", "written"),
    [
        ("2026-11-21T02:00:00Z", "{{ data.t | date }}", "20 Nov 2026"),
        ("2026-07-01T12:00:00Z", "{{ data.t | date('EEEE, HH:mm') }}", "Wednesday, 08:00"),
        (
            "2026-11-21T02:00:00+09:00",
            "{{ data.t | date('yyyy-MM-dd HH:mm') }}",
            "2026-11-20 12:00",
        ),
        ("2026-11-21T02:00:00", "{{ data.t | date('HH:mm') }}", "21:00"),
    ],
)
def test_a_time_is_told_in_the_sites_zone(moment: str, template: str, written: str) -> None:
    assert render(template, t=moment) == written


@pytest.mark.parametrize("moment", ["yesterday", 5, {}, "", "2026-13-01T00:00:00Z"])
def test_what_is_no_time_is_refused(moment: Any) -> None:
    with pytest.raises(ExpressionError, match="date needs a time"):
        render("{{ data.t | date }}", t=moment)


@pytest.mark.parametrize(
    ("number", "form", "written"),
    [
        ("(212) 555-0123", "e164", "+12125550123"),
        ("+44 20 7946 0958", "e164", "+442079460958"),
        ("+12125550123", "national", "(212) 555-0123"),
        ("+442079460958", "international", "+44 20 7946 0958"),
    ],
)
def test_a_phone_number_without_a_country_is_one_of_the_sites(
    number: str, form: str, written: str
) -> None:
    assert render("{{ data.n | phone('" + form + "') }}", n=number) == written


@pytest.mark.parametrize("number", ["hello", "12", "", [], "+1" * 500])
def test_what_is_no_phone_number_is_refused(number: Any) -> None:
    with pytest.raises(ExpressionError, match="not a phone number"):
        render("{{ data.n | phone }}", n=number)


def test_an_unknown_form_of_a_phone_number_lists_the_known_ones() -> None:
    with pytest.raises(ExpressionError, match="e164, national, international"):
        render("{{ '+12125550123' | phone('roman') }}")


@given(st.text() | st.integers() | st.floats() | st.lists(st.integers()) | st.booleans())
def test_a_filter_gives_a_text_or_an_expression_error_whatever_it_is_given(value: Any) -> None:
    for use in ("money('usd')", "date", "phone", "money(data.v)", "date(data.v)"):
        try:
            assert isinstance(render("{{ data.v | " + use + " }}", v=value), str)
        except ExpressionError:
            continue
