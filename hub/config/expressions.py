"""Compilation of `when` and `with` at load time; `with` is checked against the action's schema."""

from collections.abc import Iterator, Mapping
from typing import Any

from marshmallow import INCLUDE, Schema, ValidationError

from hub.config.errors import Path, quote, suggest
from hub.config.sections import LoadContext, Section, report
from hub.core.errors import ExpressionError
from hub.core.expressions.templates import Condition, Parameters


def condition(found: Section, text: str, reading: LoadContext) -> Condition | None:
    """Return the compiled `when`; None after its error is reported."""
    if "{{" in text or "{%" in text:
        found.fault(reading, ("when",), "write the expression without {{ }} or {% %}")
        return None
    try:
        return Condition(text)
    except ExpressionError as error:
        found.fault(reading, ("when",), str(error))
    return None


def parameters(found: Section, tree: Mapping[str, Any], reading: LoadContext) -> Parameters | None:
    """Return the compiled `with`; None after reporting every template that does not compile."""
    try:
        return Parameters(tree)
    except ExpressionError:
        for path, text in _texts(tree, ()):
            _compile(found, path, text, reading)
    return None


def check_parameters(
    found: Section, tree: Mapping[str, Any], schema: Schema, action: str, reading: LoadContext
) -> None:
    """Report unknown, missing and invalid parameters. Values with a template are not checked."""
    fields = {field.data_key or name: field for name, field in schema.load_fields.items()}
    for name in tree.keys() - fields.keys() if schema.unknown != INCLUDE else ():
        sentence = f"unknown parameter `{quote(name)}` of {action}{suggest(name, fields)}"
        found.fault(reading, ("with", name), sentence)
    for name, field in fields.items():
        if name in tree:
            _check_literal(found, name, field, tree, reading)
        elif field.required:
            found.fault(reading, ("with", name), f"{action} needs it")


def _check_literal(
    found: Section, name: str, field: Any, tree: Mapping[str, Any], reading: LoadContext
) -> None:
    if any("{{" in text or "{%" in text for _, text in _texts(tree[name], ())):
        return
    try:
        field.deserialize(tree[name], name, tree)
    except ValidationError as error:
        report(found, ("with", name), error.messages, reading)


def _compile(found: Section, path: Path, text: str, reading: LoadContext) -> None:
    try:
        Parameters({"": text})
    except ExpressionError as error:
        found.fault(reading, ("with", *path), str(error).removeprefix(": "))


def _texts(node: Any, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(node, dict):
        for key, item in node.items():
            yield from _texts(item, (*path, key))
    elif isinstance(node, list):
        for index, item in enumerate(node):
            yield from _texts(item, (*path, index))
    elif isinstance(node, str):
        yield path, node
