"""Sections `site` (the business behind the hub) and `users` (sign-in to the dashboard)."""

from datetime import timedelta
from zoneinfo import ZoneInfo, available_timezones

from marshmallow import Schema, ValidationError, validate

from hub.config.errors import quote, suggest
from hub.config.fields import Duration, OneOf, Text, Whole
from hub.config.people import Holidays
from hub.config.sections import LoadContext, Section, keys_of, known_keys, load, section_of
from hub.config.yaml import Located
from hub.core.configuration import SignInRules, Site

_COUNTRY = r"[A-Za-z]{2}\Z"


def _check_timezone(name: str) -> None:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        near = suggest(name, available_timezones()) if len(name) < 40 else ""
        hint = near if "did you mean" in near else "; expected one like America/New_York"
        raise ValidationError(f"there is no time zone `{quote(name)}`{hint}") from error


class SiteSchema(Schema):
    name = Text()
    country = Text(validate=validate.Regexp(_COUNTRY, error="expected two letters, like US"))
    timezone = Text(validate=_check_timezone)
    holidays = Holidays()


def read_site(root: Located, reading: LoadContext) -> Site:
    """Return the section `site`; every key has a default."""
    node = root.value.get("site")
    if node is None or node.value is None:
        return Site()
    if not isinstance(node.value, dict):
        reading.faults.add(node.line, ("site",), "expected a mapping of keys")
        return Site()
    found: Section = section_of(node, ("site",), reading)
    schema = SiteSchema()
    known_keys(found, keys_of(schema), (), reading)
    values = load(schema, found, reading)
    if "country" in values:
        values["country"] = values["country"].upper()
    return Site(**values)


class UsersSchema(Schema):
    password_min = Whole(low=8, high=64)
    idle = Duration(low="5m", high="30d")
    longest = Duration(low="5m", high="90d")
    second_factor = OneOf("optional", "required")


def read_sign_in(root: Located, reading: LoadContext) -> SignInRules:
    """Return the section `users`, the sign-in rules; every key has a default."""
    node = root.value.get("users")
    if node is None or node.value is None:
        return SignInRules()
    if not isinstance(node.value, dict):
        reading.faults.add(node.line, ("users",), "expected a mapping of keys")
        return SignInRules()
    found = section_of(node, ("users",), reading)
    schema = UsersSchema()
    known_keys(found, keys_of(schema), (), reading)
    values = load(schema, found, reading)
    default = SignInRules()
    rules = SignInRules(
        password_min=values.get("password_min", default.password_min),
        idle=_span(values.get("idle"), default.idle),
        longest=_span(values.get("longest"), default.longest),
        second_factor_required=values.get("second_factor") == "required",
    )
    if rules.idle > rules.longest:
        found.fault(reading, ("idle",), "longer than `longest`: no session would live to see it")
    return rules


def _span(seconds: float | None, otherwise: timedelta) -> timedelta:
    return otherwise if seconds is None else timedelta(seconds=seconds)
