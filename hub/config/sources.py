"""Section `sources`: the places that webhooks come from."""

from collections.abc import Iterable, Iterator
from types import MappingProxyType
from typing import Any

from marshmallow import Schema

from adapters import Inbound, registry
from hub.config.errors import Path, quote, suggest
from hub.config.fields import RateLimit, Size, Switch, Text, Tree
from hub.config.limits import read_captcha
from hub.config.secret_strength import publication, weakness
from hub.config.sections import LoadContext, Section, keys_of, known_keys, load, sections_of
from hub.config.yaml import Located
from hub.core.configuration import Source


class SourceSchema(Schema):
    adapter = Text(required=True)
    enabled = Switch()
    max_bytes = Size(low="1KiB", high="64MiB")
    account = Text()
    expect = RateLimit()
    assign = Text()
    captcha = Tree()


def read_sources(root: Located, reading: LoadContext) -> dict[str, Source]:
    """Return the sources with a known adapter by name; report all errors."""
    found = sections_of(root, "sources", reading).values()
    sources = [source for item in found if (source := _source(item, reading))]
    return {source.slug: source for source in sources}


def _source(found: Section, reading: LoadContext) -> Source | None:
    schema = SourceSchema()
    values = load(schema, found, reading)
    name = values.get("adapter")
    if name is None or not is_adapter(found, name, registry.INBOUND, reading):
        return None
    adapter = registry.inbound(name)
    own = adapter.settings_schema()
    known = keys_of(schema) if adapter.takes_forms else keys_of(schema) - {"captcha"}
    known_keys(found, known | keys_of(own), (), reading)
    if found.enabled:
        _check_secrets(found, adapter, reading)
    settings = MappingProxyType(load(own, found, reading))
    values["max_bytes"] = adapter.longest_body(settings, values.get("max_bytes"))
    values["captcha"] = read_captcha(found, reading)
    return Source(slug=found.name, settings=settings, **values)


def is_adapter(found: Section, name: str, there: Any, reading: LoadContext) -> bool:
    """Return whether the adapter `name` exists; report an error if not."""
    if name in there:
        return True
    found.fault(reading, ("adapter",), f"unknown adapter `{quote(name)}`{suggest(name, there)}")
    return False


def _check_secrets(found: Section, adapter: type[Inbound], reading: LoadContext) -> None:
    for key in adapter.secret_keys:
        given = found.node.value.get(key)
        if given is None or given.value == "":
            continue  # the adapter's schema reports a required secret that is missing
        if isinstance(given.value, list) and not given.value:
            found.fault(reading, (key,), "at least one secret is needed")
        for path, secret in _texts(given, (key,)):
            _check_secret(found, path, secret, reading)
    for path, public_key in _texts(found.node.value.get("public_keys"), ("public_keys",)):
        if not reading.published_secrets_allowed and (fault := publication(public_key)):
            found.fault(reading, path, fault)


def _texts(given: Located | None, path: Path) -> Iterator[tuple[Path, str]]:
    """Yield path and text for a setting that is a text, a list of texts or a mapping to texts.

    Any other value is yielded as an empty text.
    """
    if given is None:
        return
    if isinstance(given.value, list):
        inner: Iterable[tuple[Any, Located]] = enumerate(given.value)
    elif isinstance(given.value, dict):
        inner = given.value.items()
    else:
        yield path, given.value if isinstance(given.value, str) else ""
        return
    for key, item in inner:
        yield (*path, key), item.value if isinstance(item.value, str) else ""


def _check_secret(found: Section, path: Path, secret: str, reading: LoadContext) -> None:
    fault = weakness(secret)
    if fault is None and not reading.published_secrets_allowed:
        fault = publication(secret)
    if fault is not None:
        found.fault(reading, path, fault)
