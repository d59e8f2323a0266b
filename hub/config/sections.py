"""Section reading: checks a mapping's keys: unknown, planned, missing or of the wrong type."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from marshmallow import EXCLUDE, Schema, ValidationError

from hub.config.env_vars import References
from hub.config.errors import Errors, Path, quote, suggest
from hub.config.fields import SLUG, SLUG_EXPECTED, Switch
from hub.config.yaml import Located

_SENTENCES = {
    "Missing data for required field.": "is required",
    "Field may not be null.": "is empty",
    "Not a valid string.": "expected a text; put it in quotes",
    "Not a valid list.": "expected a list",
    "Not a valid mapping type.": "expected a mapping",
    "Not a valid integer.": "expected a whole number",
    "Not a valid number.": "expected a number",
    "Not a valid boolean.": "expected true or false",
    "Not a valid URL.": "expected an address like https://example.org/hook",
    "Invalid input type.": "expected a mapping",
}


@dataclass(frozen=True, slots=True)
class LoadContext:
    """Context shared by all section readers: collected errors, substitution and permissions."""

    faults: Errors
    references: References
    published_secrets_allowed: bool = True
    allow_private: bool = False


@dataclass(frozen=True, slots=True)
class Section:
    """Mapping of the file with its references substituted, and its path."""

    node: Located
    path: Path
    enabled: bool = True

    @property
    def name(self) -> str:
        return str(self.path[-1])

    def text(self, key: str) -> str | None:
        """Return the text under a key; None if it is absent or not a text."""
        item = self.node.value.get(key)
        return item.value if item is not None and isinstance(item.value, str) else None

    def fault(self, reading: LoadContext, below: Path, sentence: str) -> None:
        """Report an error at the path `below`, relative to this mapping, with its line."""
        reading.faults.add(self.node.line_of(below), (*self.path, *below), sentence)


def sections_of(root: Located, section: str, reading: LoadContext) -> dict[str, Section]:
    """Return the mappings of a section by name. A section may be absent or empty."""
    node = root.value.get(section)
    if node is None or node.value is None:
        return {}
    if not isinstance(node.value, dict):
        reading.faults.add(node.line, (section,), "expected a mapping of names")
        return {}
    found = {}
    for name, item in node.value.items():
        path = (section, name)
        if not SLUG.fullmatch(name):
            sentence = f"`{quote(name)}` is not a name; {SLUG_EXPECTED}"
            reading.faults.add_key(item.line, (section,), sentence)
        elif not isinstance(item.value, dict):
            reading.faults.add(item.line, path, "expected a mapping of keys")
        else:
            found[name] = section_of(item, path, reading)
    return found


def section_of(item: Located, path: Path, reading: LoadContext) -> Section:
    """Return a mapping with its references substituted; null counts as absent.

    With `enabled: false` it may reference variables that are not set: it needs none of them.
    """
    switch = item.value.get("enabled")
    word = switch and reading.references.fill(switch, (*path, "enabled")).value
    enabled = word is None or word == "" or not _is_off(word)
    given = {key: value for key, value in item.value.items() if value.value is not None}
    filled = reading.references.fill(Located(given, item.line), path, lenient=not enabled)
    return Section(filled, path, enabled)


def known_keys(
    found: Section, known: Iterable[str], planned: Iterable[str], reading: LoadContext
) -> None:
    """Report unknown keys, and planned keys: those of features that do not exist yet."""
    names = frozenset(known)
    for key in found.node.value:
        if key in planned:
            found.fault(reading, (key,), f"`{key}` is not there yet")
        elif key not in names:
            sentence = f"unknown key `{quote(key)}`{suggest(key, names)}"
            found.fault(reading, (key,), sentence)


def load(schema: Schema, found: Section, reading: LoadContext) -> dict[str, Any]:
    """Return the loaded values of the schema's own keys; report and omit invalid ones."""
    try:
        values = schema.load(found.node.plain(), unknown=EXCLUDE)
    except ValidationError as error:
        report(found, (), error.messages, reading)
        values = error.valid_data
    return dict(values) if isinstance(values, Mapping) else {}


def report(found: Section, below: Path, messages: Any, reading: LoadContext) -> None:
    """Report marshmallow's messages (a tree of lists of sentences), each with its own line."""
    if isinstance(messages, Mapping):
        for part, deeper in messages.items():
            path = below if part in ("_schema", "key", "value") else (*below, part)
            report(found, path, deeper, reading)
    else:
        for message in [messages] if isinstance(messages, str) else messages:
            sentence = _SENTENCES.get(str(message)) or str(message).rstrip(".")
            found.fault(reading, below, sentence)


def keys_of(schema: Schema) -> frozenset[str]:
    """Return the keys that a schema loads, as written in the file (`data_key`)."""
    loaded = schema.load_fields.items()
    return frozenset(field.data_key or name for name, field in loaded)


def _is_off(word: Any) -> bool:
    try:
        return Switch().deserialize(word) is False
    except ValidationError:
        return False
