"""`sources`: the places that webhooks come from."""

from types import MappingProxyType
from typing import Any

from marshmallow import Schema

from adapters import registry
from hub.config.entries import Entry, Reading, entries, keys_of, known_keys, load
from hub.config.faults import meant, shown
from hub.config.lines import Located
from hub.config.secrets import publication, weakness
from hub.config.values import Size, Switch, Text
from hub.core.configuration import Source

PLANNED = ("expect", "assign")


class SourceSchema(Schema):
    adapter = Text(required=True)
    enabled = Switch()
    max_bytes = Size(low="1KiB", high="64MiB")


def read_sources(root: Located, reading: Reading) -> dict[str, Source]:
    """Return the sources without a fault; the faults of the others are reported."""
    found = entries(root, "sources", reading).values()
    sources = [source for item in found if (source := _source(item, reading))]
    return {source.slug: source for source in sources}


def _source(found: Entry, reading: Reading) -> Source | None:
    schema = SourceSchema()
    values = load(schema, found, reading)
    name = values.get("adapter")
    if name is None or not is_adapter(
        found, name, registry.INBOUND, registry.PLANNED_INBOUND, reading
    ):
        return None
    own = registry.inbound(name).settings_schema()
    known_keys(found, keys_of(schema) | keys_of(own), PLANNED, reading)
    if found.enabled:
        _check_secrets(found, reading)
    settings = MappingProxyType(load(own, found, reading))
    return Source(slug=found.name, settings=settings, **values)


def is_adapter(
    found: Entry, name: str, there: Any, planned: frozenset[str], reading: Reading
) -> bool:
    """Return whether there is such an adapter; report it when there is not."""
    if name in there:
        return True
    if name in planned:
        sentence = f"the adapter `{name}` is not there yet"
    else:
        sentence = f"unknown adapter `{shown(name)}`{meant(name, there)}"
    found.fault(reading, ("adapter",), sentence)
    return False


def _check_secrets(found: Entry, reading: Reading) -> None:
    given = found.node.value.get("secrets")
    if given is None or not isinstance(given.value, list):
        return
    if not given.value:
        found.fault(reading, ("secrets",), "at least one secret is needed")
    for index, item in enumerate(given.value):
        secret = item.value if isinstance(item.value, str) else ""
        fault = weakness(secret)
        if fault is None and not reading.published_secrets_allowed:
            fault = publication(secret)
        if fault is not None:
            found.fault(reading, ("secrets", index), fault)
