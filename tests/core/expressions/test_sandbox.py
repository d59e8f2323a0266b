"""Sandbox of expressions: no escape from it, and no huge value from a short template."""

import pytest

from hub.core.errors import ExpressionError
from hub.core.expressions.limits import MAX_TEXT
from tests.core.expressions.rendering import render
from tests.timing import little_work


@pytest.mark.parametrize(
    "template",
    [
        "{{ data.__class__ }}",
        "{{ data.name.__class__.__mro__ }}",
        "{{ data.name['__class__'] }}",
        "{{ data | attr('__class__') }}",
        "{{ ().__class__.__base__.__subclasses__() }}",
        "{{ data.name.upper.__self__ }}",
        "{{ self }}",
        "{{ self._TemplateReference__context }}",
        "{{ '{0.__class__}'.format(data) }}",
        "{{ 'a'['format'](data) }}",
        "{{ '%s' % data }}",
        "{{ data['items'].append(1) }}",
        "{{ (5).to_bytes(9) }}",
        "{% set x = 1 %}{{ x }}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        "{% include 'x' %}",
        "{% import 'x' as y %}",
        "{% for x in data.big recursive %}{{ loop(data.big) }}{% endfor %}",
        "{{ range(5) }}",
        "{{ lipsum() }}",
        "{{ nobody.name }}",
    ],
)  # fmt: skip
def test_there_is_no_way_out_of_the_sandbox(template: str) -> None:
    with pytest.raises(ExpressionError):
        render(template)


@pytest.mark.parametrize(
    "template",
    [
        "{{ 9 ** 999999999 }}",
        "{{ data.name * 999999999 }}",
        "{{ [1] * 999999999 }}",
        "{{ '%999999999d' % 5 }}",
        "{{ '{:999999999}'.format(5) }}",
        "{{ data.name.center(999999999) }}",
        "{{ data.name | center(999999999) }}",
        "{{ data.name | indent(999999999) }}",
        "{{ 5 | round(-999999999) }}",
        "{{ data.name | tojson(indent=999999999) }}",
        "{{ data.big.replace('x', data.big) }}",
        "{{ data.big | replace('x', data.big) | length }}",
        "{{ data.big | list | join(data.big) | length }}",
        "{{ data.big.join(data.big | list) | length }}",
        "{{ data['items'] | batch(999999999, 'x') | list | length }}",
        "{{ data['items'] | slice(999999999) | list | length }}",
        "{{ data.big ~ data.big ~ data.big }}",
        "{% for a in data.big %}{% for b in data.big %}{{ a }}{% endfor %}{% endfor %}",
        "{% for a in data.big[:9000] %}{{ data.big }}{% endfor %}",
    ],
)
def test_a_short_template_makes_no_huge_value(template: str) -> None:
    with little_work(), pytest.raises(ExpressionError):
        render(template)


MANY = [{"price": n, "name": "x" * 50} for n in range(100_000)]
WORDS = "a word " * 100_000


@pytest.mark.parametrize(
    "template",
    [
        "{% for a in data.many %}{{ data.many | map(attribute='price') | sum }}{% endfor %}",
        "{% for a in data.many %}{{ data.many | sort(attribute='name') | first }}{% endfor %}",
        "{% for a in data.many %}{{ 'b' in data.words }}{% endfor %}",
        "{% for a in data.many %}{{ data.words.split(' ') | length }}{% endfor %}",
        "{% for a in data.many %}{{ [data.many] | tojson | length }}{% endfor %}",
        "{{ data.many | map(attribute='name') | map('replace', 'x', data.words[:4000]) | list }}",
        "{{ data.many | map(attribute='name') | select('in', data.words.split(' ')) | list }}",
    ],
)
def test_a_short_template_goes_not_through_much_data_again_and_again(template: str) -> None:
    with little_work(20), pytest.raises(ExpressionError, match="so much data is not for a t"):
        render(template, many=MANY, words=WORDS)


def test_much_data_is_gone_through_a_few_times() -> None:
    assert render("{{ data.many | map(attribute='price') | sum }}", many=MANY) == 4_999_950_000
    assert render("{{ data.words | trim | upper | truncate(20) }}", words=WORDS * 10) == (
        "A WORD A WORD A..."
    )


def test_the_longest_text_is_made_and_one_character_more_is_not() -> None:
    half = "y" * (MAX_TEXT // 2)
    assert len(render("{{ data.a }}{{ data.b }}", a=half, b=half)) == MAX_TEXT
    with pytest.raises(ExpressionError, match="200000 characters"):
        render("{{ data.a }}{{ data.b }}", a=half, b=half + "y")
