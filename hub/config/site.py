"""`site`: the business behind the hub."""

from zoneinfo import ZoneInfo, available_timezones

from marshmallow import Schema, ValidationError, validate

from hub.config.entries import Entry, Reading, entry, keys_of, known_keys, load
from hub.config.faults import meant, shown
from hub.config.holidays import Holidays
from hub.config.lines import Located
from hub.config.values import Text
from hub.core.configuration import Site

_COUNTRY = r"[A-Za-z]{2}\Z"


def _check_timezone(name: str) -> None:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        near = meant(name, available_timezones()) if len(name) < 40 else ""
        hint = near if "did you mean" in near else "; expected one like America/New_York"
        raise ValidationError(f"there is no time zone `{shown(name)}`{hint}") from error


class SiteSchema(Schema):
    name = Text()
    country = Text(validate=validate.Regexp(_COUNTRY, error="expected two letters, like US"))
    timezone = Text(validate=_check_timezone)
    holidays = Holidays()


def read_site(root: Located, reading: Reading) -> Site:
    """Return what the file says about the site; every key has a default."""
    node = root.value.get("site")
    if node is None or node.value is None:
        return Site()
    if not isinstance(node.value, dict):
        reading.faults.add(node.line, ("site",), "expected a mapping of keys")
        return Site()
    found: Entry = entry(node, ("site",), reading)
    schema = SiteSchema()
    known_keys(found, keys_of(schema), (), reading)
    values = load(schema, found, reading)
    if "country" in values:
        values["country"] = values["country"].upper()
    return Site(**values)
