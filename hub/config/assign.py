"""Section `assign`: named lists of assignment rules. Every list ends in a rule that always matches.

So every lead gets an owner.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from marshmallow import Schema, ValidationError, fields

from hub.config.errors import quote, suggest
from hub.config.expressions import condition
from hub.config.fields import SLUG, SLUG_EXPECTED, OneOf, Switch, Text, Texts
from hub.config.sections import LoadContext, Section, keys_of, known_keys, load, section_of
from hub.config.yaml import Located
from hub.core.expressions.templates import EVENT_NAMES
from hub.core.leads.assignment_rules import PICKS, Area, Rule, parse_area
from hub.core.leads.people import Person


class Areas(fields.Field[tuple[Area, ...]]):
    """Field of postcode areas: `224*`, `22551-22556` or `22551`; one value or a list."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> tuple[Area, ...]:
        wrong: dict[int, list[str]] = {}
        areas = []
        for at, item in enumerate(value if isinstance(value, list) else [value]):
            try:
                plain = isinstance(item, str) or type(item) is int
                areas.append(parse_area(str(item) if plain else ""))
            except ValueError as error:
                wrong[at] = [str(error)]
        if wrong:
            raise ValidationError(wrong if isinstance(value, list) else wrong[0])
        if not areas:
            raise ValidationError("expected at least one area")
        return tuple(areas)


class RuleSchema(Schema):
    when = Text()
    areas = Areas(data_key="area")
    area_field = Text()
    to = Texts(required=True)
    pick = OneOf(*PICKS)
    within_hours = Switch()


def read_assign(
    root: Located, people: Mapping[str, Person], reading: LoadContext
) -> dict[str, tuple[Rule, ...]]:
    """Return the valid rule lists by name, and report the errors of the others."""
    lists = {}
    for name, item in _lists(root, reading):
        rules = []
        for at, node in enumerate(item.value):
            path = ("assign", name, at)
            if not isinstance(node.value, dict):
                reading.faults.add(node.line, path, "expected a mapping with `to: [people]`")
            elif rule := _rule(section_of(node, path, reading), people, reading):
                rules.append(rule)
        if len(rules) == len(item.value):
            _check_last(item, name, rules, reading)
            lists[name] = tuple(rules)
    return lists


def _lists(root: Located, reading: LoadContext) -> Iterator[tuple[str, Located]]:
    node = root.value.get("assign")
    if node is None or node.value is None:
        return
    if not isinstance(node.value, dict):
        reading.faults.add(node.line, ("assign",), "expected a mapping of names to lists of rules")
        return
    for name, item in node.value.items():
        if not SLUG.fullmatch(name):
            sentence = f"`{quote(name)}` is not a name; {SLUG_EXPECTED}"
            reading.faults.add_key(item.line, ("assign",), sentence)
        elif not isinstance(item.value, list) or not item.value:
            reading.faults.add(item.line, ("assign", name), "expected a list of rules")
        else:
            yield name, item


def _rule(found: Section, people: Mapping[str, Person], reading: LoadContext) -> Rule | None:
    schema = RuleSchema()
    known_keys(found, keys_of(schema), (), reading)
    values = load(schema, found, reading)
    if "area_field" in values and "areas" not in values:
        found.fault(reading, ("area_field",), "names a field for `area`, which is not there")
    if (text := values.get("when")) is not None:
        values["when"] = condition(found, text, reading)
        if values["when"] and (late := values["when"].names - EVENT_NAMES):
            sentence = f"`{min(late)}` is not known when a lead is given to somebody"
            found.fault(
                reading, ("when",), f"{sentence}; there are {', '.join(sorted(EVENT_NAMES))}"
            )
    for at, slug in enumerate(values.get("to", ())):
        if slug not in people:
            is_list = isinstance(found.node.value["to"].value, list)
            sentence = f"there is nobody `{quote(slug)}` under `people`{suggest(slug, people)}"
            found.fault(reading, ("to", at) if is_list else ("to",), sentence)
    good = values.get("to") and all(slug in people for slug in values["to"])
    return Rule(**values) if good else None


def _check_last(item: Located, name: str, rules: list[Rule], reading: LoadContext) -> None:
    if rules[-1].always_matches:
        return
    path = ("assign", name, len(rules) - 1)
    sentence = (
        "the last rule must always match, so that every lead finds somebody: it may have no "
        "`when`, no `area` and no `within_hours`; add a rule like `- {to: [somebody]}`"
    )
    reading.faults.add(item.value[-1].line, path, sentence)
