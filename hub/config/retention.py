"""Section `retention`: how long the hub keeps what it stores, each kind for its own span."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from marshmallow import Schema, ValidationError

from hub.config.fields import Duration
from hub.config.sections import LoadContext, Section, keys_of, known_keys, load, section_of
from hub.config.yaml import Located
from hub.core.configuration import NOTICE, Retention

FOREVER = "forever"


class Span(Duration):
    """Duration field that also takes `forever`; loads as a time span, None for ever."""

    def __init__(self, low: str = "1s", **kwargs: Any) -> None:
        super().__init__(low=low, high="36500d", **kwargs)

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        if value == FOREVER:
            return None
        try:
            return timedelta(seconds=super()._deserialize(value, *args, **kwargs))
        except ValidationError as error:
            raise ValidationError(f"{error.messages[0]}, or {FOREVER}") from error


class RetentionSchema(Schema):
    # `12m` is minutes: whoever means months must not lose what no backup brings back.
    bodies = Span("1d")
    events = Span("1d")
    # Providers send an event again for days, as if for the first time.
    keys = Span("7d")
    rejected = Span()
    held = Span()
    answers = Span()
    alerts = Span()
    sessions = Span("1h")
    audit = Span()


def read_retention(root: Located, reading: LoadContext) -> Retention:
    """Return the section `retention`; every key has a default.

    A default gives way to what stands in the file: bodies are never kept for longer than events,
    and keys never for shorter.
    """
    node = root.value.get("retention")
    if node is None or node.value is None:
        return Retention()
    if not isinstance(node.value, dict):
        reading.faults.add(node.line, ("retention",), "expected a mapping of keys")
        return Retention()
    found = section_of(node, ("retention",), reading)
    schema = RetentionSchema()
    known_keys(found, keys_of(schema), (), reading)
    given = load(schema, found, reading)
    kept = Retention(**_adjusted(given))
    _check(found, given, kept, reading)
    return kept


def _adjusted(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the given spans, and beside them the defaults that those would contradict."""
    spans, default = dict(given), Retention()
    events = given.get("events", default.events)
    if "bodies" not in given and is_longer(default.bodies, events):
        spans["bodies"] = events
    if "keys" not in given and is_longer(events, default.keys):
        spans["keys"] = events
    return spans


def is_longer(one: timedelta | None, other: timedelta | None) -> bool:
    """Return whether a span is longer than another one; None is for ever."""
    if one is None or other is None:
        return one is None and other is not None
    return one > other


def _check(found: Section, given: Mapping[str, Any], kept: Retention, reading: LoadContext) -> None:
    if is_longer(kept.bodies, kept.events):
        sentence = "longer than `events`: a body is deleted with its events, if not before"
        found.fault(reading, ("bodies",), sentence)
    if is_longer(kept.events, kept.keys):
        sentence = "shorter than `events`: an event that comes again would be taken in twice"
        found.fault(reading, ("keys",), sentence)
    if is_longer(NOTICE, given.get("held", NOTICE)):
        sentence = f"people are told {NOTICE.days} days before: expected {NOTICE.days}d or longer"
        found.fault(reading, ("held",), sentence)
