"""Template filters that mask personal data for users who may not see it.

Each filter returns its value unchanged for all other users. Without a signed-in user all is masked.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from flask import current_app, g

from hub.core.auth.ordinary_words import words_of
from hub.core.auth.redaction import MASK, Redactor
from hub.core.auth.roles import Principal
from hub.core.configuration import Configuration
from hub.core.explain.event_summaries import sentence
from hub.web.dashboard.blueprint import dashboard
from hub.web.dashboard.permissions import hub

_REDACTOR = "hub_redactor"


def sees_personal() -> bool:
    """Return whether the signed-in user may see personal data."""
    person: Principal | None = g.get("person")
    return person is not None and person.sees_personal


def redactor() -> Redactor:
    """Return the redactor that knows the names in this hub's configuration."""
    configuration = hub().configuration
    known: tuple[Configuration, Redactor] | None = current_app.extensions.get(_REDACTOR)
    if known is None or known[0] is not configuration:
        known = configuration, Redactor(frozenset(_own_words(configuration)))
        current_app.extensions[_REDACTOR] = known
    return known[1]


@dashboard.app_template_filter("personal")
def personal(value: Any) -> Any:
    """Return a name, an address or a number, or a mask."""
    return value if value in (None, "") or sees_personal() else MASK


@dashboard.app_template_filter("redacted")
def redacted(value: Any) -> Any:
    """Return a tree with its ids, types, states, amounts and times; a text is masked whole."""
    return value if sees_personal() else redactor().tree(value)


@dashboard.app_template_filter("redacted_id")
def redacted_id(value: str | None) -> str:
    return (value or "") if sees_personal() else redactor().id(value or "")


@dashboard.app_template_filter("redacted_code")
def redacted_code(value: Any) -> str:
    """Return a code, a state or a name of hub.yaml."""
    text = "" if value is None else str(value)
    return text if sees_personal() else redactor().code(text)


@dashboard.app_template_filter("redacted_type")
def redacted_type(value: str) -> str:
    """Return an event's type; of one that is no code, the provider alone."""
    return value if sees_personal() else redactor().event_type(value)


@dashboard.app_template_filter("redacted_name")
def redacted_name(value: str) -> str:
    """Return the name of a field that came from outside."""
    return value if sees_personal() else redactor().name(value)


@dashboard.app_template_filter("redacted_sentence")
def redacted_sentence(value: str | None) -> str:
    """Return a sentence of the hub, or of an adapter, that may quote what came from outside."""
    return (value or "") if sees_personal() else redactor().sentence(value or "")


@dashboard.app_template_filter("told")
@dashboard.app_template_global("happened")
def told(event: Any) -> str:
    """Return an event's summary in one sentence."""
    native_type, data = redacted_code(event.native_type), redacted(event.data or {})
    return sentence(redacted_type(event.type), native_type, data)


@dashboard.app_template_filter("redacted_address")
def redacted_address(request: Any) -> str:
    """Return the address that a request came to; without its query and path secret if masked."""
    url: str = request.url
    if sees_personal():
        return url
    path, source = urlsplit(url).path, request.source
    place = "forms" if path.startswith("/forms/") else "webhooks"
    known = f"/{place}/{source}"
    return known if url.endswith(known) else f"{known}{MASK}"


@dashboard.app_template_filter("redacted_values")
def redacted_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values that a condition read, by dotted path."""
    return {path: _at(path, value) for path, value in values.items()}


@dashboard.app_template_filter("redacted_changes")
def redacted_changes(changes: Sequence[Sequence[Any]]) -> list[tuple[str, Any, Any]]:
    """Return the changes of an edited copy: path, before, after."""
    return [(_path(path), _at(path, before), _at(path, after)) for path, before, after in changes]


def _at(path: str, value: Any) -> Any:
    """Return the value at a dotted path; masked if any name on the way makes it personal."""
    if sees_personal():
        return value
    tree = value
    for name in reversed(path.split(".")):
        tree = {name: tree}
    masked = redactor().tree(tree)
    while isinstance(tree, Mapping) and tree is not value:
        tree, masked = next(iter(tree.values())), next(iter(masked.values()))
    return masked


def _path(path: str) -> str:
    return ".".join(redacted_name(name) for name in path.split("."))


def _own_words(configuration: Configuration) -> Iterator[str]:
    """Yield the words of slugs, routes' names and event types, and of declared form fields."""
    for text in _own_names(configuration):
        yield from words_of(text)


def _own_names(configuration: Configuration) -> Iterable[str]:
    yield from configuration.destinations
    for route in configuration.routes.values():
        yield from (route.name, route.action, *route.on)
    for source in configuration.sources.values():
        declared = source.settings.get("fields")
        yield from (source.slug, source.adapter)
        yield from declared if isinstance(declared, Mapping) else ()
