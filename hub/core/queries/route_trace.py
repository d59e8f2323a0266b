"""Route traces: the reason for which each route matches an event or does not.

Traces use the routes of the current configuration, or of the version that matched the event.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any
from uuid import UUID

from adapters import Event
from hub.core.configuration import Route
from hub.core.errors import ExpressionError
from hub.core.expressions.templates import Condition, Scope
from hub.core.hub import Hub
from hub.core.inbound.routing import event_context, site_context

MOST_VALUES = 12

_PATH = re.compile(r"\b(event|data|site)((?:\.\w{1,80}){1,8})")


@dataclass(frozen=True, slots=True)
class RouteTrace:
    """Route trace: whether a route matches an event, and the reason in words.

    `takes`: the route matches, as far as the event alone decides. `values` are the values that its
    condition (`when`) reads from the event, by path; `error` is the error of that condition.
    """

    route: str
    does: str
    takes: bool
    words: str
    when: str | None = None
    values: Mapping[str, Any] = field(default_factory=dict)
    error: str | None = None


@dataclass(frozen=True, slots=True)
class _Rule:
    """Route of the current or a stored configuration version; `when` is not compiled yet."""

    name: str
    on: Sequence[str]
    sources: Sequence[str]
    live: str
    when: str | None
    does: str
    enabled: bool


def reasons(hub: Hub, event: Event, *, event_id: UUID, row: Any) -> list[RouteTrace]:
    """Return the traces of all routes of the current configuration, matching routes first."""
    rules = [_rule_of(route) for route in hub.configuration.routes.values()]
    return _reasons(hub, rules, event, event_id=event_id, row=row)


def reasons_then(
    hub: Hub, routes: Mapping[str, Any], event: Event, *, event_id: UUID, row: Any
) -> list[RouteTrace]:
    """Return the traces of the routes of a stored version (`hub.core.inbound.config_versions`)."""
    rules = [
        _Rule(name, kept["on"], kept["from"], kept["live"], kept["when"], kept["do"],
              kept["enabled"])
        for name, kept in routes.items()
    ]  # fmt: skip
    return _reasons(hub, rules, event, event_id=event_id, row=row)


def _reasons(
    hub: Hub, rules: Sequence[_Rule], event: Event, *, event_id: UUID, row: Any
) -> list[RouteTrace]:
    context = {
        "event": event_context(
            event, event_id=event_id, source=row.source, received_at=row.received_at
        ),
        "data": Scope("data", event.data),
        "site": site_context(hub.configuration.site),
    }
    found = [_why(rule, event, row.source, context) for rule in rules]
    return sorted(found, key=lambda why: not why.takes)


def _rule_of(route: Route) -> _Rule:
    when = route.when.text if route.when else None
    does = f"{route.destination}.{route.action}"
    return _Rule(route.name, route.on, route.sources, route.live, when, does, route.enabled)


def _why(rule: _Rule, event: Event, source: str, context: Mapping[str, Any]) -> RouteTrace:
    for passes, words in _CHECKS:
        if not passes(rule, event, source):
            return RouteTrace(rule.name, rule.does, False, words(rule, event, source), rule.when)
    if rule.when is None:
        return RouteTrace(rule.name, rule.does, True, "it takes every such event")
    return _by_condition(rule, rule.when, context)


def _by_condition(rule: _Rule, text: str, context: Mapping[str, Any]) -> RouteTrace:
    values = dict(_values(text, context))
    try:
        condition = Condition(text)
        if condition.needs_more_than_event:
            words = "its condition is decided when the delivery is due"
            return RouteTrace(rule.name, rule.does, True, words, text, values)
        holds = condition.holds(context)
    except ExpressionError as error:
        words = "its condition failed"
        return RouteTrace(rule.name, rule.does, True, words, text, values, str(error))
    words = "its condition holds" if holds else "its condition does not hold"
    return RouteTrace(rule.name, rule.does, holds, words, text, values)


def _values(text: str, context: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the paths that are spelled out in a condition, each with its value in the event."""
    for path in list(dict.fromkeys(_PATH.findall(text)))[:MOST_VALUES]:
        name, fields = path
        node: Any = context[name]
        for one in fields.strip(".").split("."):
            node = node.get(one) if isinstance(node, Mapping) else None
        yield f"{name}{fields}", node


Check = Callable[[_Rule, Event, str], Any]


def _one_of(names: Sequence[str]) -> str:
    return " or ".join(names)


# Checks in the order in which the router applies them: a condition on the route and the event, and
# the words of the trace if it does not hold.
_CHECKS: Sequence[tuple[Check, Check]] = (
    (lambda rule, event, source: rule.enabled,
     lambda rule, event, source: "it is switched off"),
    (lambda rule, event, source: not event.echo,
     lambda rule, event, source: "the event tells of our own doing, which no route takes"),
    (lambda rule, event, source: not event.incomplete,
     lambda rule, event, source: "the event says too little yet: it has to be fetched first"),
    (lambda rule, event, source: not rule.sources or source in rule.sources,
     lambda rule, event, source: f"it takes events of {_one_of(rule.sources)} only"),
    (lambda rule, event, source: any(fnmatchcase(event.type, one) for one in rule.on),
     lambda rule, event, source: f"it takes {_one_of(rule.on)} only"),
    (lambda rule, event, source: rule.live == "any" or event.live == (rule.live == "live"),
     lambda rule, event, source:
     "it takes real events only, and this is a test" if rule.live == "live"
     else "it takes tests only, and this is a real event"),
)  # fmt: skip
