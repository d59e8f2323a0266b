"""Checks of references between sections: a source's `account`, a `callback`, and route owners.

`account` and `callback` link sources and destinations of one provider. If there is only one
candidate, it need not be named.

Routes that use `owner` need an `assign` list, and a phone number or e-mail address of each person
in it.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any

from adapters import registry
from hub.config.errors import quote, suggest
from hub.config.sections import LoadContext
from hub.config.yaml import Located
from hub.core.configuration import Destination, Route, Source
from hub.core.leads.assignment_rules import Rule, everybody
from hub.core.leads.people import Person

_ASKED = re.compile(r"\bowner\.(phone|email)\b")
_LINK = re.compile(r"\bowner\.link\b")
_LENIENT = re.compile(r"\|\s*(?:default|d)\b|\{%|\bis\s+(?:not\s+)?defined\b|\bif\b")


def link(
    root: Located,
    sources: Mapping[str, Source],
    destinations: Mapping[str, Destination],
    reading: LoadContext,
) -> tuple[dict[str, Source], dict[str, Destination]]:
    """Return both mappings with `account` and `callback` resolved; report unresolvable ones."""
    linked_sources = {
        slug: replace(source, account=_account(root, source, sources, destinations, reading))
        for slug, source in sources.items()
    }
    linked_destinations = {
        slug: replace(one, callback=_callback(root, one, sources, reading))
        for slug, one in destinations.items()
    }
    return linked_sources, linked_destinations


def _account(
    root: Located,
    source: Source,
    sources: Mapping[str, Source],
    destinations: Mapping[str, Destination],
    reading: LoadContext,
) -> str | None:
    """Return the destination whose credentials list a source's records (backfill); None if none.

    No two sources may share an account: each would take in the events that the other's webhooks
    bring, and every action would run twice.
    """
    wanted = registry.inbound(source.adapter).account
    fitting = [one for one in destinations.values() if one.adapter == wanted]
    alike = [one for one in sources.values() if one.adapter == source.adapter and one.enabled]
    if source.account is None:
        return _only_one(fitting) if len(alike) == 1 else None
    slugs = [one.slug for one in fitting]
    if source.account in slugs:
        first = next((one.slug for one in alike if one.account == source.account), source.slug)
        if source.enabled and first != source.slug:
            path = ("sources", source.slug, "account")
            sentence = f"`{first}` has this account already: what it lists would come in twice"
            reading.faults.add(root.line_of(path), path, sentence)
        return source.account
    path = ("sources", source.slug, "account")
    what = f"expected a destination with `adapter: {wanted}`"
    if wanted is None:
        sentence = f"`{quote(source.account)}` will not do: its adapter fetches nothing; "
        reading.faults.add(root.line_of(path), path, sentence + "take the line out")
    else:
        _fault(root, path, source.account, what, slugs, reading)
    return None


def _callback(
    root: Located, destination: Destination, sources: Mapping[str, Source], reading: LoadContext
) -> str | None:
    wanted = registry.outbound(destination.adapter).calls_back
    fitting = [one for one in sources.values() if one.adapter == wanted]
    enabled = [one.slug for one in fitting if one.enabled]
    path = ("destinations", destination.slug, "callback")
    if destination.callback is None:
        if len(enabled) > 1 and destination.enabled:
            sentence = f"several sources could get its status callbacks: {', '.join(enabled)}"
            reading.faults.add(root.line_of(path[:2]), path, f"{sentence}; name one")
        return _only_one(fitting)
    slugs = [one.slug for one in fitting]
    if destination.callback in slugs:
        return destination.callback if destination.callback in enabled else None
    what = f"expected a source with `adapter: {wanted}`"
    _fault(root, path, destination.callback, what, slugs, reading)
    return None


def _only_one(fitting: Iterable[Source | Destination]) -> str | None:
    enabled = [one.slug for one in fitting if one.enabled]
    return enabled[0] if len(enabled) == 1 else None


def _fault(
    root: Located,
    path: tuple[str, ...],
    given: str,
    what: str,
    fitting: Iterable[str],
    reading: LoadContext,
) -> None:
    sentence = f"`{quote(given)}` will not do: {what}{suggest(given, list(fitting))}"
    reading.faults.add(root.line_of(path), path, sentence)


def check_owners(
    root: Located,
    sources: Mapping[str, Source],
    routes: Mapping[str, Route],
    people: Mapping[str, Person],
    assign: Mapping[str, tuple[Rule, ...]],
    reading: LoadContext,
) -> None:
    """Report `assign` lists that do not exist, and routes that use `owner` but have no list."""
    for section, named in (("sources", sources), ("routes", routes)):
        for slug, item in named.items():
            _check_name(root, (section, slug, "assign"), item.assign, reading)
    for route in routes.values():
        if asks_for_owner(route):
            lists = _lists_of(root, route, sources, reading)
            rules = [rule for name in lists for rule in assign.get(name, ())]
            _check_reachable(root, route, [people[slug] for slug in everybody(rules)], reading)


def asks_for_owner(route: Route) -> bool:
    """Return whether a route needs the lead's owner."""
    named = route.parameters.names | (route.when.names if route.when else frozenset())
    return "owner" in named or route.escalate_after_s is not None


def asks_for_link(route: Route) -> bool:
    """Return whether a route's `with` contains `owner.link`, the acknowledgement link."""
    return any(_LINK.search(text) for text in texts_of(route.parameters.tree))


def texts_of(tree: Any) -> Iterator[str]:
    """Yield every string in the tree of a route's `with`."""
    if isinstance(tree, Mapping):
        for item in tree.values():
            yield from texts_of(item)
    elif isinstance(tree, list | tuple):
        for item in tree:
            yield from texts_of(item)
    elif isinstance(tree, str):
        yield tree


def _check_name(
    root: Located, path: tuple[str, ...], name: str | None, reading: LoadContext
) -> None:
    node = root.value.get("assign")
    there = node.value if node is not None and isinstance(node.value, dict) else {}
    if name is not None and name not in there:
        sentence = f"there is no list `{quote(name)}` under `assign`{suggest(name, there)}"
        reading.faults.add(root.line_of(path), path, sentence)


def _lists_of(
    root: Located, route: Route, sources: Mapping[str, Source], reading: LoadContext
) -> list[str]:
    """Return the `assign` lists that may name the owner; report sources without a list."""
    path = ("routes", route.name, "assign")
    if route.escalate_after_s is not None and "owner" not in route.parameters.names:
        sentence = "nobody else would be told: `with` does not name `owner`"
        at = (*path[:2], "escalate")
        reading.faults.add(root.line_of(at), at, sentence)
    if route.assign:
        return [route.assign]
    given = [one for one in sources.values() if one.enabled and _may_give(one, route)]
    lacking = [one.slug for one in given if one.assign is None]
    if lacking:
        sentence = "no `assign` on this source or route, so `owner` would be nobody: give one to "
        sentence += f"the route, or to the source {' and '.join(f'`{slug}`' for slug in lacking)}"
        reading.faults.add(root.line_of(path), path, sentence)
    return list(dict.fromkeys(one.assign for one in given if one.assign))


def _may_give(source: Source, route: Route) -> bool:
    """Return whether events of a source may match a route."""
    if route.sources:
        return source.slug in route.sources
    known = {*registry.inbound(source.adapter).native_types.values(), f"{source.adapter}.other"}
    return any(
        glob.startswith(f"{source.adapter}.") or any(fnmatchcase(name, glob) for name in known)
        for glob in route.on
    )


def _check_reachable(
    root: Located, route: Route, people: Iterable[Person], reading: LoadContext
) -> None:
    """Report possible owners without the phone number or e-mail address that the route uses."""
    asked = {
        name
        for text in texts_of(route.parameters.tree)
        if not _LENIENT.search(text)
        for name in _ASKED.findall(text)
    }
    for name in sorted(asked):
        lacking = [f"`{one.slug}`" for one in people if getattr(one, name) is None]
        if lacking:
            path = ("routes", route.name, "with")
            sentence = f"uses owner.{name}, and {', '.join(lacking)} under `people` has none"
            reading.faults.add(root.line_of(path), path, sentence)
