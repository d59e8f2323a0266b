"""Conditions and templates: Jinja's sandbox over `event data contact results site`.

A missing field in a condition means *no match*; a missing one in a parameter is a clear failure.
A parameter that is one whole ``{{ expression }}`` keeps the expression's type; any other is text.
"""

import re
from collections.abc import Mapping
from typing import Any

import jinja2
from jinja2 import meta, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from hub.core.errors import ExpressionError, MissingField
from hub.core.filters import FILTERS

KNOWN_NAMES = frozenset({"event", "data", "contact", "results", "site"})
PLANNED_NAMES = frozenset({"owner"})
EVENT_NAMES = frozenset({"event", "data", "site"})
"""What is known while a webhook is being taken in; the rest needs the database."""

_WHOLE = re.compile(r"\{\{[-+]?(.*?)[-+]?\}\}", re.DOTALL)

MAX_TEXT = 200_000
"""The longest text that a template may make, in characters."""


class Condition:
    """A compiled `when`. Raises `ExpressionError` at once when it cannot be compiled."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.names = _names("{{ (" + text + ") }}")
        self._evaluate = _expression(text)

    @property
    def needs_more_than_event(self) -> bool:
        """Whether it can be decided only at claim time."""
        return not self.names <= EVENT_NAMES

    def holds(self, context: Mapping[str, Any]) -> bool:
        """Return whether the condition holds; a missing field means that it does not.

        Raises:
            ExpressionError: it failed in another way (a text compared with a number).
        """
        try:
            return bool(self._evaluate(context))
        except MissingField:
            return False


class Parameters:
    """Compiled `with`: texts, mappings and lists of any depth, whose texts are templates."""

    def __init__(self, tree: Mapping[str, Any]) -> None:
        self.tree = tree
        self.names: frozenset[str] = frozenset()
        self.uses_native = False
        self._compiled = self._compile(tree, ())

    def render(self, context: Mapping[str, Any]) -> dict[str, Any]:
        """Return the tree with every template rendered.

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


class _Undefined(jinja2.StrictUndefined):
    """A missing field: `default`, `is defined` work; any other use says its name."""

    def _fail_with_undefined_error(self, *args: Any, **kwargs: Any) -> Any:
        raise MissingField(f"{_path_of(self)} is missing")

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = (
        __floordiv__
    ) = __rfloordiv__ = __mod__ = __rmod__ = __pos__ = __neg__ = __call__ = __getitem__ = __lt__ = (
        __le__
    ) = __gt__ = __ge__ = __int__ = __float__ = __complex__ = __pow__ = __rpow__ = __iter__ = (
        __str__
    ) = __len__ = __eq__ = __ne__ = __bool__ = __hash__ = __contains__ = _fail_with_undefined_error

    def __getattr__(self, name: str) -> Any:
        if name[:2] == "__":
            raise AttributeError(name)
        return self._fail_with_undefined_error()


_WIDTH_METHODS = frozenset("center expandtabs format format_map ljust rjust zfill".split())


class _Environment(ImmutableSandboxedEnvironment):
    intercepted_binops = frozenset({"*", "**"})

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Refuse the methods by which a short template makes a huge text."""
        return attr not in _WIDTH_METHODS and super().is_safe_attribute(obj, attr, value)

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Look a field up by key first, so that `data.items` is the event's own field."""
        if isinstance(obj, Mapping):
            try:
                return obj[attribute]
            except KeyError:
                return self.undefined(obj=_Named(obj), name=attribute)
        return super().getattr(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        if isinstance(obj, Mapping):
            try:
                return obj[argument]
            except (KeyError, TypeError):
                return self.undefined(obj=_Named(obj), name=argument)
        return super().getitem(obj, argument)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """Refuse the operators by which a short template makes a huge value."""
        if operator == "**":
            raise ExpressionError("** is not allowed")
        if operator == "*" and not (_is_number(left) and _is_number(right)):
            raise ExpressionError("* multiplies numbers only")
        return super().call_binop(context, operator, left, right)


class _Named:
    """Stands for a mapping in an undefined's message, so that no value gets into it."""

    def __init__(self, mapping: Mapping[str, Any]) -> None:
        self.path = mapping.path if isinstance(mapping, Scope) else ""


class Scope(dict[str, Any]):
    """A top-level name of the context; knows its own name for messages."""

    def __init__(self, path: str, fields: Mapping[str, Any]) -> None:
        super().__init__(fields)
        self.path = path


def _path_of(undefined: jinja2.Undefined) -> str:
    owner = undefined._undefined_obj
    name = str(undefined._undefined_name)
    return f"{owner.path}.{name}" if isinstance(owner, _Named) and owner.path else name


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _finalize(value: Any) -> Any:
    if value is None:
        raise MissingField("an expression gave nothing (null); use `| default(..., true)`")
    return value


ENVIRONMENT = _Environment(
    undefined=_Undefined, autoescape=False, finalize=_finalize, keep_trailing_newline=True
)
ENVIRONMENT.filters.update(FILTERS)
ENVIRONMENT.globals.clear()
for _name in ("format", "center", "indent", "pprint", "xmlattr"):  # a width makes a huge text
    del ENVIRONMENT.filters[_name]


def _names(source: str) -> frozenset[str]:
    try:
        tree = ENVIRONMENT.parse(source)
        names = frozenset(meta.find_undeclared_variables(tree))
    except jinja2.TemplateSyntaxError as error:
        raise ExpressionError(f"{error.message}") from error
    if planned := names & PLANNED_NAMES:
        raise ExpressionError(f"`{min(planned)}` is not there yet")
    if unknown := names - KNOWN_NAMES:
        expected = ", ".join(sorted(KNOWN_NAMES))
        raise ExpressionError(f"unknown name `{min(unknown)}`; expected one of {expected}")
    return names


def _expression(text: str) -> Any:
    try:
        compiled = ENVIRONMENT.compile_expression(text, undefined_to_none=False)
    except jinja2.TemplateSyntaxError as error:
        raise ExpressionError(f"{error.message}") from error

    def evaluate(context: Mapping[str, Any]) -> Any:
        with _failures():
            return compiled(**context)

    return evaluate


def _template(text: str) -> Any:
    whole = _whole_expression(text)
    if whole is not None:
        evaluate = _expression(whole)

        def value(context: Mapping[str, Any]) -> Any:
            result = evaluate(context)
            if isinstance(result, jinja2.Undefined):
                raise MissingField(f"{_path_of(result)} is missing")
            return _bounded(_finalize(result))

        return value
    template = ENVIRONMENT.from_string(text)

    def render(context: Mapping[str, Any]) -> str:
        with _failures():
            return str(_bounded(template.render(context)))

    return render


def _whole_expression(text: str) -> str | None:
    """Return the expression of a text that is one `{{ … }}` and nothing else."""
    body = ENVIRONMENT.parse(text).body
    if len(body) != 1 or not isinstance(body[0], nodes.Output) or len(body[0].nodes) != 1:
        return None
    whole = _WHOLE.fullmatch(text.strip())
    return whole[1] if whole else None


def _bounded(value: Any) -> Any:
    if isinstance(value, str) and len(value) > MAX_TEXT:
        raise ExpressionError(f"made a text of {len(value)} characters; at most {MAX_TEXT}")
    return value


class _failures:
    """Turns whatever a template raises into an `ExpressionError` without any of its values."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type | None, error: BaseException | None, trace: object) -> None:
        if error is None or isinstance(error, ExpressionError):
            return
        if isinstance(error, jinja2.TemplateError):
            raise ExpressionError(error.message or type(error).__name__) from error
        if isinstance(
            error, ArithmeticError | AttributeError | LookupError | TypeError | ValueError
        ):
            raise ExpressionError(f"{type(error).__name__} in the expression") from error


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
