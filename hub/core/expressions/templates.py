"""Conditions and templates: Jinja's sandbox over `event data contact owner results cause site`.

A missing field in a condition means *no match*; a missing one in a parameter is a clear failure.
A parameter that is one whole ``{{ expression }}`` keeps the expression's type; any other is text.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import jinja2
from jinja2 import meta, nodes

from hub.core.errors import ExpressionError, MissingField
from hub.core.expressions.limits import bounded_value, plain, present
from hub.core.expressions.sandbox import ENVIRONMENT, FieldMissing, Scope, check_statements

__all__ = ["Condition", "Parameters", "Scope"]

KNOWN_NAMES = frozenset({"event", "data", "contact", "owner", "results", "cause", "site"})
# Names whose values are known while a request is ingested; the others need the database.
EVENT_NAMES = frozenset({"event", "data", "site"})

_WHOLE = re.compile(r"\{\{[-+]?(.*?)[-+]?\}\}", re.DOTALL)
# Errors of Python's own compiler for the code that Jinja generates from a strange expression.
_COMPILER_ERRORS = (SyntaxError, RecursionError, ValueError, OverflowError, MemoryError)


class Condition:
    """Compiled condition (`when`).

    Raises:
        ExpressionError: when it is created, if it cannot be compiled.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._evaluate = _expression(text)
        self.names = _names("{{ (" + text + ") }}")

    @property
    def needs_more_than_event(self) -> bool:
        """Return whether the condition can be decided only at claim time."""
        return not self.names <= EVENT_NAMES

    def holds(self, context: Mapping[str, Any]) -> bool:
        """Return whether the condition holds; a missing field means that it does not.

        Raises:
            ExpressionError: it failed in another way (a text was compared with a number).
        """
        try:
            return bool(self._evaluate(context))
        except MissingField:
            return False


class Parameters:
    """Compiled parameters (`with`): mappings and lists of any depth, whose texts are templates."""

    def __init__(self, tree: Mapping[str, Any]) -> None:
        self.tree = tree
        self.names: frozenset[str] = frozenset()
        self.uses_native = False
        self._compiled = self._compile(tree, ())

    def render(self, context: Mapping[str, Any]) -> dict[str, Any]:
        """Return the parameters with every template rendered.

        Raises:
            ExpressionError: with the dotted path of the parameter; `MissingField` when it used
                a field that is not there.
        """
        rendered: dict[str, Any] = _render(self._compiled, context, ())
        return rendered

    def _compile(self, node: Any, path: tuple[str, ...]) -> Any:
        if isinstance(node, Mapping):
            return {key: self._compile(value, (*path, str(key))) for key, value in node.items()}
        if isinstance(node, list | tuple):
            return [self._compile(value, (*path, str(i))) for i, value in enumerate(node)]
        if not isinstance(node, str) or "{" not in node:
            return node
        try:
            self.names |= _names(node)
            self.uses_native |= "native" in node
            return _template(node)
        except ExpressionError as error:
            raise ExpressionError(f"{'.'.join(path)}: {error}") from error


@contextmanager
def _compiling() -> Iterator[None]:
    """Convert every exception of compiling to an `ExpressionError`."""
    try:
        yield
    except jinja2.TemplateSyntaxError as error:
        raise ExpressionError(f"{error.message}") from error
    except _COMPILER_ERRORS as error:
        raise ExpressionError("an expression that cannot be compiled") from error


@contextmanager
def _evaluating(source: str) -> Iterator[None]:
    """Convert every exception of evaluating to an `ExpressionError` without any values."""
    try:
        yield
    except FieldMissing as error:
        why = f": {error.why}" if error.why else ""
        raise MissingField(f"{_as_written(error, source)} is missing{why}") from error
    except ExpressionError:
        raise
    except jinja2.exceptions.SecurityError as error:
        raise ExpressionError("the expression uses what is not allowed") from error
    except (
        jinja2.TemplateError,
        ArithmeticError,
        AttributeError,
        LookupError,
        MemoryError,
        NameError,
        RecursionError,
        TypeError,
        ValueError,
    ) as error:
        raise ExpressionError(f"{type(error).__name__} in the expression") from error


def _as_written(missing: FieldMissing, source: str) -> str:
    """Return a missing field as the source writes it, so that no value gets into the message."""
    written = {path for path in _dotted_paths(source) if path.endswith(f".{missing.name}")}
    if f"{missing.owner}.{missing.name}" in written:
        return f"{missing.owner}.{missing.name}"
    if written:
        return " or ".join(sorted(written))
    return missing.name if missing.name in source else "a field"


def _dotted_paths(source: str) -> Iterator[str]:
    """Yield every dotted path of a template, such as `data.customer.name`."""
    for node in ENVIRONMENT.parse(source).find_all((nodes.Getattr, nodes.Getitem)):
        names: list[str] = []
        inner: nodes.Node = node
        while isinstance(inner, nodes.Getattr | nodes.Getitem):
            last = inner.attr if isinstance(inner, nodes.Getattr) else inner.arg
            names.append(str(last.value) if isinstance(last, nodes.Const) else str(last))
            inner = inner.node
        if isinstance(inner, nodes.Name) and all(name.isidentifier() for name in names):
            yield ".".join([inner.name, *reversed(names)])


def _names(source: str) -> frozenset[str]:
    with _compiling():
        tree = ENVIRONMENT.parse(source)
        names = frozenset(meta.find_undeclared_variables(tree))
        check_statements(tree)
    if unknown := names - KNOWN_NAMES:
        expected = ", ".join(sorted(KNOWN_NAMES))
        raise ExpressionError(f"unknown name `{min(unknown)}`; expected one of {expected}")
    return names


def _expression(text: str) -> Any:
    with _compiling():
        compiled = ENVIRONMENT.compile_expression(text, undefined_to_none=False)

    def evaluate(context: Mapping[str, Any]) -> Any:
        with _evaluating("{{ (" + text + ") }}"):
            value = compiled(**context)
            if isinstance(value, jinja2.Undefined):
                # Raises an error that names the field.
                bool(value)
            return value

    return evaluate


def _template(text: str) -> Any:
    whole = _whole_expression(text)
    if whole is not None:
        evaluate = _expression(whole)

        def value(context: Mapping[str, Any]) -> Any:
            with _evaluating(text):
                return plain(present(evaluate(context)))

        return value
    with _compiling():
        template = ENVIRONMENT.from_string(text)

    def render(context: Mapping[str, Any]) -> str:
        rendered = ""
        with _evaluating(text):
            for piece in template.generate(context):
                rendered = bounded_value(rendered + piece)
        return rendered

    return render


def _whole_expression(text: str) -> str | None:
    """Return the expression of a text that is one `{{ … }}` and nothing else."""
    with _compiling():
        body = ENVIRONMENT.parse(text).body
    if len(body) != 1 or not isinstance(body[0], nodes.Output) or len(body[0].nodes) != 1:
        return None
    whole = _WHOLE.fullmatch(text.strip())
    return whole[1] if whole else None


def _render(node: Any, context: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    if isinstance(node, dict):
        return {key: _render(value, context, (*path, str(key))) for key, value in node.items()}
    if isinstance(node, list):
        return [_render(value, context, (*path, str(i))) for i, value in enumerate(node)]
    if not callable(node):
        return node
    try:
        return node(context)
    except ExpressionError as error:
        raise type(error)(f"{'.'.join(path)}: {error}") from error
