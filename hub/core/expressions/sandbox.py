"""Sandbox of expressions: the operations that they may use, and limits of their results.

Events are written by strangers, so a short template over a hostile value must not produce a huge
result: operations that multiply a text by a text, or a value by a number, are bounded or removed
here. No error message contains a value of an event: messages end up in logs.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.filters import FILTERS as JINJA_FILTERS
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

from hub.core.errors import ExpressionError, MissingField
from hub.core.expressions.filters import FILTERS, concatenated, joined, replaced
from hub.core.expressions.limits import is_number, present, reckoned, spend

# Most rounds of all loops of one template together.
MAX_STEPS = 10_000

_STATEMENTS = (nodes.If, nodes.For, nodes.Output)
_JINJA_FILTERS = (
    "abs capitalize count d default dictsort e escape first float groupby int items last length "
    "list lower map max min reject rejectattr reverse select selectattr sort string sum title trim "
    "truncate unique upper urlencode wordcount"
).split()
_TEXT_METHODS = frozenset(
    "capitalize casefold count endswith find isalnum isalpha isdigit islower isnumeric isspace "
    "isupper lower lstrip partition removeprefix removesuffix rfind rpartition rsplit rstrip split "
    "splitlines startswith strip swapcase title upper".split()
)
_PLAIN = (str, bytes, int, float, list, tuple, set, type(None))


class Scope(dict[str, Any]):
    """Scope: a top-level name of the context, with its own name (`path`) for messages.

    `missing` gives, by field, the reason why a field does not exist, if that is known.
    """

    def __init__(
        self, path: str, fields: Mapping[str, Any], missing: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(fields)
        self.path = path
        self.missing = missing or {}


class FieldMissing(MissingField):
    """Missing field, before it is known how the expression spells it.

    `name` may come from the event (`data[event.type]`), so it must not appear in a message yet.
    """

    def __init__(self, owner: str, name: str, why: str = "") -> None:
        super().__init__("a field is missing")
        self.owner = owner
        self.name = name
        self.why = why


class Undefined(jinja2.StrictUndefined):
    """Value of a missing field: `default` and `is defined` work; any other use raises."""

    def _fail_with_undefined_error(self, *args: Any, **kwargs: Any) -> Any:
        name, scope = str(self._undefined_name), self._undefined_obj
        why = scope.missing.get(name, "") if isinstance(scope, Scope) else ""
        raise FieldMissing(getattr(scope, "path", ""), name, why)

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


class Sandbox(ImmutableSandboxedEnvironment):
    """Sandbox of Jinja in which fields take precedence over methods.

    Operations that make a large result out of little are bounded or removed.
    """

    intercepted_binops = frozenset({"*", "**", "%"})

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Return a field by its key first, so that `data.items` is the event's own field."""
        if isinstance(obj, Mapping):
            return self.getitem(obj, attribute)
        if isinstance(obj, str) and attribute in _BOUNDED_METHODS:
            return partial(_BOUNDED_METHODS[attribute], obj)
        return super().getattr(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        if isinstance(obj, Mapping):
            try:
                return obj[argument]
            except (KeyError, TypeError):
                return self.undefined(obj=obj, name=argument)
        if isinstance(argument, str) and not isinstance(obj, jinja2.Undefined):
            return self.getattr(obj, argument)
        return super().getitem(obj, argument)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Allow the methods of a text that do not enlarge it; of other plain values, none."""
        if isinstance(obj, _PLAIN):
            return isinstance(obj, str) and attr in _TEXT_METHODS
        return super().is_safe_attribute(obj, attr, value)

    def wrap_str_format(self, value: Any) -> None:
        """Return None, which leaves `format` to `is_safe_attribute`; that refuses it."""

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """Refuse operators by which a short expression produces a huge value."""
        if isinstance(left, jinja2.Undefined) or isinstance(right, jinja2.Undefined):
            # Raises an error that names the field.
            return left + right
        if operator == "**":
            raise ExpressionError("** is not allowed")
        if not (is_number(left) and is_number(right)):
            raise ExpressionError(f"{operator} takes numbers only")
        return super().call_binop(context, operator, left, right)

    def call(__self, __context: Any, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        """Call a method of a text, and spend the effort of its arguments and its result."""
        spend(__context, getattr(__obj, "__self__", None), *args, *kwargs.values())
        made = super().call(__context, __obj, *args, **kwargs)
        spend(__context, made)
        return made

    def _generate(self, source: nodes.Template, *args: Any, **options: Any) -> str:
        return super()._generate(_Bounds(self).visit(source), *args, **options)


class _Bounds(NodeTransformer):
    """Transformer of templates: loops and `in` are counted, and `~` accepts no null."""

    def __init__(self, environment: jinja2.Environment) -> None:
        self._environment = environment

    def visit_For(self, node: nodes.For) -> nodes.Node:
        """Wrap the iterable of a loop, so that its rounds are counted."""
        node.iter = self._filtered(node.iter, "for")
        return self.generic_visit(node)

    def visit_Compare(self, node: nodes.Compare) -> nodes.Node:
        """Wrap the operand of `in`, so that it spends effort."""
        for operand in node.ops:
            if operand.op in ("in", "notin"):
                operand.expr = self._filtered(operand.expr, "in")
        return self.generic_visit(node)

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:
        """Replace `a ~ b` by the filter `~`."""
        self.generic_visit(node)
        return self._filtered(nodes.List(node.nodes, lineno=node.lineno), "~")

    def _filtered(self, inner: nodes.Node, name: str) -> nodes.Filter:
        made = nodes.Filter(inner, name, [], [], None, None, lineno=inner.lineno)
        made.set_environment(self._environment)
        return made


def check_statements(tree: nodes.Template) -> None:
    """Refuse every statement but `if` and `for`, and the name `self`.

    Raises:
        ExpressionError: the template has another statement, a recursive loop, or uses `self`.
    """
    if any(name.name == "self" for name in tree.find_all(nodes.Name)):
        raise ExpressionError("unknown name `self`")
    for node in tree.find_all(nodes.Stmt):
        if not isinstance(node, _STATEMENTS):
            raise ExpressionError("a template may have {{ }}, {% if %} and {% for %}, no more")
        if isinstance(node, nodes.For) and node.recursive:
            raise ExpressionError("a loop cannot be recursive")


@jinja2.pass_context
def _counted(context: Any, items: Iterable[Any]) -> Iterator[Any]:
    for item in items:
        context.steps = getattr(context, "steps", 0) + 1
        if context.steps > MAX_STEPS:
            raise ExpressionError(f"looped more than {MAX_STEPS} times")
        yield item


_BOUNDED_METHODS: Mapping[str, Callable[..., str]] = {
    "replace": replaced,
    "join": lambda text, items: joined(items, text),
}

ENVIRONMENT = Sandbox(
    undefined=Undefined, autoescape=False, finalize=present, keep_trailing_newline=True
)
ENVIRONMENT.globals.clear()
_FILTERS = {name: JINJA_FILTERS[name] for name in _JINJA_FILTERS} | FILTERS
ENVIRONMENT.filters = {
    **{name: reckoned(function) for name, function in _FILTERS.items()},
    "for": _counted,
    "in": reckoned(lambda items: items),
    "~": reckoned(concatenated),
}
ENVIRONMENT.tests = {name: reckoned(test) for name, test in ENVIRONMENT.tests.items()}
