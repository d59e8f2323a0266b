"""`users`: how people sign in to the dashboard."""

from datetime import timedelta

from marshmallow import Schema

from hub.config.entries import Reading, entry, keys_of, known_keys, load
from hub.config.lines import Located
from hub.config.values import Choice, Duration, Whole
from hub.core.configuration import SignInRules


class UsersSchema(Schema):
    password_min = Whole(low=8, high=64)
    idle = Duration(low="5m", high="30d")
    longest = Duration(low="5m", high="90d")
    second_factor = Choice("optional", "required")


def read_sign_in(root: Located, reading: Reading) -> SignInRules:
    """Return what the file says about signing in; every key has a default."""
    node = root.value.get("users")
    if node is None or node.value is None:
        return SignInRules()
    if not isinstance(node.value, dict):
        reading.faults.add(node.line, ("users",), "expected a mapping of keys")
        return SignInRules()
    found = entry(node, ("users",), reading)
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
