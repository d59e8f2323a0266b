"""Templates of conditions and parameters: their values and their error messages."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.core.errors import ExpressionError, MissingField
from hub.core.expressions.templates import Condition, Parameters
from tests.core.expressions.rendering import DATA, context, holds, render


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("{{ data.amount }}", 4200),
        (" {{ data.amount }} ", " 4200 "),
        ("{{- data.amount -}}", 4200),
        ("{{ data.paid }}", True),
        ("{{ data.rate }}", 1.5),
        ("{{ data.address }}", {"city": "Rome"}),
        ("{{ data.items | map('upper') }}", ["A", "B"]),
        ("{{ data.amount + 1 }}", 4201),
        ("{{ {'total': data.amount} }}", {"total": 4200}),
        ("{{ data.amount }} cents", "4200 cents"),
        ("{{ data.amount }}{{ data.amount }}", "42004200"),
        ("no template", "no template"),
        ("{% if data.paid %}paid{% else %}due{% endif %}", "paid"),
        ("{% for one in data['items'] %}{{ loop.index }}{{ one }}{% endfor %}", "1a2b"),
        ("{{ data.name.upper() }}!", "JANE DOE!"),
        ("{{ data.address | tojson }}!", '{"city":"Rome"}!'),
        ("{{ data.name ~ ' ' ~ data.amount }}", "Jane Doe 4200"),
        ("{{ data.name | replace('Doe', 'Roe') }}", "Jane Roe"),
        ("{{ data['items'] | join(', ') }}", "a, b"),
    ],
)
def test_a_whole_expression_keeps_its_type_and_any_other_text_is_text(
    template: str, value: Any
) -> None:
    rendered = render(template)
    assert rendered == value
    assert type(rendered) is type(value)


def test_mappings_and_lists_are_rendered_to_any_depth() -> None:
    tree = {"a": [{"b": "{{ data.amount }}"}, 7, None, True], "c": {"d": {"e": "{{ data.name }}"}}}
    assert Parameters(tree).render(context()) == {
        "a": [{"b": 4200}, 7, None, True],
        "c": {"d": {"e": "Jane Doe"}},
    }


@pytest.mark.parametrize("name", ["items", "values", "keys"])
def test_the_events_own_field_comes_before_a_mappings_method(name: str) -> None:
    assert render("{{ data." + name + " }}") == DATA[name]


@pytest.mark.parametrize("method", ["get", "pop", "update", "copy", "items"])
def test_a_mappings_method_is_a_missing_field(method: str) -> None:
    with pytest.raises(MissingField, match=rf"p: data\.address\.{method} is missing"):
        render("{{ data.address." + method + "() }}")


@pytest.mark.parametrize(
    "condition",
    ["data.nope", "data.nope > 5", "data.nope.deeper == 1", "not data.nope", "data['nope'] == 'a'"],
)
def test_a_missing_field_in_a_condition_is_no_match(condition: str) -> None:
    assert holds(condition) is False


def test_a_condition_can_ask_whether_a_field_is_there() -> None:
    assert holds("data.nope is not defined")
    assert holds("data.name is defined and data.amount >= 4200")
    assert not holds("data.gone")


def test_a_condition_that_compares_a_text_with_a_number_fails_instead_of_deciding() -> None:
    with pytest.raises(ExpressionError, match="TypeError"):
        holds("data.name > 5")


@pytest.mark.parametrize(
    ("template", "path"),
    [
        ("{{ data.nope }}", "data.nope"),
        ("Hello {{ data.nope }}", "data.nope"),
        ("{{ data.address.zip }}", "data.address.zip"),
        ("{{ data['nope'] }}", "data.nope"),
        ("{{ data.nope.deeper }}", "data.nope"),
        ("{{ 5 * data.nope }}", "data.nope"),
        ("{{ data.nope | money('usd') }}", "data.nope"),
        ("{{ contact.phone }}", "contact.phone"),
        ("{{ 'a' ~ data.nope }}", "data.nope"),
        ("{{ [data.nope] }}", "data.nope"),
    ],
)
def test_a_missing_field_in_a_parameter_is_named(template: str, path: str) -> None:
    with pytest.raises(MissingField, match=f"^with.body.0: {path} is missing$"):
        Parameters({"with": {"body": [template]}}).render(context())


@pytest.mark.parametrize(
    "template", ["{{ data.gone }}", "Hi {{ data.gone }}", "{{ 'Hi ' ~ data.gone }}"]
)
def test_null_is_as_good_as_missing_and_never_the_word_none(template: str) -> None:
    with pytest.raises(MissingField, match="null"):
        render(template)
    assert render("{{ data.gone | default('friend', true) }}") == "friend"


@pytest.mark.parametrize(
    "expression",
    [
        "(" * 500 + "1" + ")" * 500,
        "-" * 5000 + "1",
        "1" + " + 1" * 5000,
        "[" * 300 + "]" * 300,
        "9" * 5000,
        "data" + ".a" * 5000,
        "1e999",
        "'\\N{nope}'",
        "data.name(*data.items, **data.values)",
        "1 if",
        "a b",
        "",
    ],
)
def test_what_cannot_be_compiled_is_an_expression_error_and_nothing_else(expression: str) -> None:
    for attempt in (lambda: holds(expression), lambda: render("{{ " + expression + " }}")):
        with suppress(ExpressionError):
            attempt()


@pytest.mark.parametrize(
    "template",
    [
        "{{ data.big | list }}", "{{ data.name.upper }}", "{{ 18446744073709551616 }}",
        "{{ 1e308 * 10 }}", "{{ {1: 2} }}", "{{ data['items'] | join }}", "{{ 1 if false }}",
    ],
)  # fmt: skip
def test_what_a_parameter_gives_can_always_be_kept_as_json(template: str) -> None:
    try:
        json.dumps(render(template), allow_nan=False)
    except ExpressionError:
        return


@pytest.mark.parametrize(
    "expression",
    [
        "data.secret + 5", "data.secret | int / 0", "data[data.secret]", "data.items[data.secret]",
        "data.address[data.secret].x", "data.secret | money(data.secret)", "5 | money(data.secret)",
        "data.secret | date", "data.secret | phone", "[1] | map(data.secret) | list",
        "data.secret | phone(data.secret)", "['a'] | map(attribute=data.secret) | list",
        "[data] | sort(attribute=data.secret)", "data.secret | round", "data.secret()",
        "data.secret[data.secret]()", "data.secret > 5", "data.secret.split('')", "-data.secret",
        "[1] | select(data.secret) | list", "event.occurred_at | date(data.secret)",
    ],
)  # fmt: skip
def test_no_value_of_an_event_gets_into_a_message(expression: str) -> None:
    with pytest.raises(ExpressionError) as failed:
        render("{{ " + expression + " }}", secret="jane@private.example")
    assert "private" not in str(failed.value)
    assert "jane" not in str(failed.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
PIECES = st.sampled_from(
    "data.name data.amount data.nope event site contact ( ) [ ] { } {{ }} {% %} {# #} | . , : + - "
    "* ** % ~ == < in is not and or if else for endif endfor 'a' \"b 1 1.5 money('usd') date phone "
    "upper length default(1) join map(1) loop None true \\ \x00 \ud800 é".split()
)
SOURCES = st.text() | st.lists(PIECES, max_size=12).map(" ".join)


@settings(max_examples=300)
@given(source=SOURCES, value=JSON)
def test_any_text_as_a_template_gives_a_value_or_an_expression_error(
    source: str, value: Any
) -> None:
    for template in (source, "{{ " + source + " }}", "a {{ " + source + " }} b"):
        try:
            rendered = Parameters({"p": template}).render(context(name=value))["p"]
        except ExpressionError:
            continue
        if template is not source:
            json.dumps(rendered, allow_nan=False)


@settings(max_examples=300)
@given(source=SOURCES, value=JSON)
def test_any_text_as_a_condition_gives_a_verdict_or_an_expression_error(
    source: str, value: Any
) -> None:
    try:
        assert holds(source, name=value) in (True, False)
    except ExpressionError:
        return


def test_a_condition_knows_whether_the_event_alone_decides_it() -> None:
    assert not Condition("data.amount > 1 and event.live and site.name").needs_more_than_event
    assert Condition("contact.phone").needs_more_than_event
    assert Condition("results['a'].state == 'succeeded'").needs_more_than_event
