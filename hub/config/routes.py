"""Section `routes`: events and the action that they run.

Read after `sources` and `destinations`, which a route names.
"""

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

from marshmallow import Schema

from adapters import registry
from adapters.contract.event import EVENT_TYPES
from adapters.contract.outbound import Action, Effect
from hub.config.errors import quote, suggest
from hub.config.expressions import check_parameters, condition, parameters
from hub.config.fields import SLUG, Duration, OneOf, Switch, Text, Texts, Tree
from hub.config.sections import LoadContext, Section, keys_of, known_keys, load, sections_of
from hub.config.yaml import Located
from hub.core.configuration import Destination, Route
from hub.core.expressions.templates import Parameters

PLANNED = ("quiet_hours", "expires", "after", "order_by", "stale", "purpose")
PROVIDERS = frozenset(registry.INBOUND)


class EscalateSchema(Schema):
    after = Duration(low="1s", high="7d", required=True)
    to = OneOf("next")


class RouteSchema(Schema):
    on = Texts(required=True)
    sources = Texts(data_key="from", load_default=())
    live = OneOf("live", "test", "any", load_default="live")
    when = Text(load_default=None)
    do = Text(required=True)
    tree = Tree(data_key="with", load_default=dict)
    delay_s = Duration(low="0s", high="400d", data_key="delay", load_default=0.0)
    enabled = Switch(load_default=True)
    was = Texts(load_default=())
    policy = OneOf("at_most_once", "at_least_once", load_default=None)
    assign = Text(load_default=None)
    escalate = Tree(load_default=None)


def read_routes(
    root: Located, destinations: Mapping[str, Destination], reading: LoadContext
) -> dict[str, Route]:
    """Return the routes by name, and report errors."""
    found = sections_of(root, "routes", reading)
    sources, there = _names(root, "sources"), _names(root, "destinations")
    routes = {}
    for name, item in found.items():
        values = _values(item, reading)
        _check_types(item, values.get("on", ()), reading)
        _check_sources(item, values.get("sources", ()), sources, reading)
        if route := _route(item, values, there, destinations, reading):
            routes[name] = route
    _check_former_names(found, routes, reading)
    return routes


def _values(found: Section, reading: LoadContext) -> dict[str, Any]:
    schema = RouteSchema()
    known_keys(found, keys_of(schema), PLANNED, reading)
    return load(schema, found, reading)


def _route(
    found: Section,
    values: dict[str, Any],
    there: frozenset[str],
    destinations: Mapping[str, Destination],
    reading: LoadContext,
) -> Route | None:
    when = values.get("when")
    compiled = condition(found, when, reading) if when is not None else None
    tree = values.get("tree", {})
    rendered = parameters(found, tree, reading)
    slug, _, name = values.get("do", "").partition(".")
    action = _action(found, slug, name, there, destinations, reading) if slug else None
    if action is not None:
        check_parameters(found, tree, action.parameters(), f"{slug}.{name}", reading)
        _check_policy(found, values.get("policy"), action, reading)
    return Route(
        name=found.name,
        on=values.get("on", ()),
        destination=slug,
        action=name,
        parameters=rendered or Parameters({}),
        sources=values.get("sources", ()),
        live=values.get("live", "live"),
        when=compiled,
        delay_s=values.get("delay_s", 0),
        enabled=values.get("enabled", True),
        was=values.get("was", ()),
        at_least_once=values.get("policy") == "at_least_once",
        assign=values.get("assign"),
        escalate_after_s=_escalate_after_s(found, reading),
    )


def _escalate_after_s(found: Section, reading: LoadContext) -> float | None:
    node = found.node.value.get("escalate")
    if node is None or not isinstance(node.value, dict):
        return None
    given = {key: item for key, item in node.value.items() if item.value is not None}
    below = Section(Located(given, node.line), (*found.path, "escalate"))
    schema = EscalateSchema()
    known_keys(below, keys_of(schema), (), reading)
    after_s: float | None = load(schema, below, reading).get("after")
    return after_s


def _names(root: Located, section: str) -> frozenset[str]:
    node = root.value.get(section)
    is_there = node is not None and isinstance(node.value, dict)
    return frozenset(node.value) if is_there else frozenset()


def _check_types(found: Section, globs: tuple[str, ...], reading: LoadContext) -> None:
    is_list = isinstance(getattr(found.node.value.get("on"), "value", None), list)
    for index, glob in enumerate(globs):
        if any(fnmatchcase(name, glob) for name in EVENT_TYPES):
            continue
        provider, dot, rest = glob.partition(".")
        if dot and rest and provider in PROVIDERS:
            continue
        near = suggest(glob, EVENT_TYPES)
        hint = near if "did you mean" in near else "; see the list of event types"
        path = ("on", index) if is_list else ("on",)
        found.fault(reading, path, f"`{quote(glob)}` matches no event type{hint}")


def _check_sources(
    found: Section, slugs: tuple[str, ...], there: frozenset[str], reading: LoadContext
) -> None:
    is_list = isinstance(getattr(found.node.value.get("from"), "value", None), list)
    for index, slug in enumerate(slugs):
        if slug not in there:
            path = ("from", index) if is_list else ("from",)
            found.fault(reading, path, f"there is no source `{quote(slug)}`{suggest(slug, there)}")


def _action(
    found: Section,
    slug: str,
    name: str,
    there: frozenset[str],
    destinations: Mapping[str, Destination],
    reading: LoadContext,
) -> Action | None:
    if not name:
        found.fault(reading, ("do",), "expected <destination>.<action>")
        return None
    if slug not in there:
        sentence = f"there is no destination `{quote(slug)}`{suggest(slug, there)}"
        found.fault(reading, ("do",), sentence)
        return None
    if slug not in destinations:
        return None
    actions = registry.outbound(destinations[slug].adapter).actions
    offered = {key: action for key, action in actions.items() if not action.internal}
    if name not in offered:
        sentence = f"`{slug}` has no action `{quote(name)}`{suggest(name, offered)}"
        found.fault(reading, ("do",), sentence)
    return offered.get(name)


def _check_policy(found: Section, policy: str | None, action: Action, reading: LoadContext) -> None:
    if policy == "at_most_once" and action.effect is not Effect.AT_MOST_ONCE:
        sentence = f"this action is {action.effect.value} and repeated when in doubt; leave it away"
        found.fault(reading, ("policy",), sentence)


def _check_former_names(
    found: Mapping[str, Section], routes: Mapping[str, Route], reading: LoadContext
) -> None:
    taken: dict[str, str] = {}
    for route in routes.values():
        for former in route.was:
            fault = None
            if not SLUG.fullmatch(former):
                fault = f"`{quote(former)}` is no name of a route"
            elif former in found:
                fault = f"`{former}` is a route of its own"
            elif taken.setdefault(former, route.name) != route.name:
                fault = f"the route `{taken[former]}` was `{former}` too"
            if fault is not None:
                found[route.name].fault(reading, ("was",), fault)
