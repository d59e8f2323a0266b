"""Section `destinations`: the provider accounts that the hub calls."""

from types import MappingProxyType
from typing import Any

from marshmallow import Schema, fields

from adapters import registry
from adapters.contract.outbound import Outbound
from hub.config.fields import Duration, OneOf, RateLimit, Switch, Text, Tree, Whole
from hub.config.limits import read_send_limits
from hub.config.sections import LoadContext, Section, keys_of, known_keys, load, sections_of
from hub.config.sources import is_adapter
from hub.config.urls import address_fault
from hub.config.yaml import Located
from hub.core.configuration import Destination, RetryPlan
from hub.core.delivery.shards import MOST_SHARDS
from hub.core.ports import EVENTS


class RetrySchema(Schema):
    attempts = Whole(low=1, high=1000)
    max_age_s = Duration(low="1s", high="400d", data_key="max_age")
    first_delay_s = Duration(low="1s", high="7d", data_key="first_delay")
    max_delay_s = Duration(low="1s", high="7d", data_key="max_delay")


class DestinationSchema(Schema):
    adapter = Text(required=True)
    enabled = Switch()
    mode = OneOf("live", "sandbox")
    base_url = fields.String()
    timeout_s = Duration(low="1s", high="60s", data_key="timeout")
    rate = RateLimit()
    concurrency = Whole(low=1, high=256)
    shards = Whole(low=1, high=MOST_SHARDS)
    retry = Tree()
    callback = Text()
    limits = Tree()


def read_destinations(root: Located, reading: LoadContext) -> dict[str, Destination]:
    """Return the destinations with a known adapter by name; report all errors."""
    found = sections_of(root, "destinations", reading).values()
    for item in found:
        if item.name == EVENTS:
            sentence = f"`{EVENTS}` is the queue of what belongs to no destination: rename it"
            item.fault(reading, (), sentence)
    destinations = [made for item in found if (made := _destination(item, reading))]
    return {destination.slug: destination for destination in destinations}


def _destination(found: Section, reading: LoadContext) -> Destination | None:
    schema = DestinationSchema()
    values = load(schema, found, reading)
    retry = _retry(found, reading)
    name = values.pop("adapter", None)
    if name is None or not is_adapter(found, name, registry.OUTBOUND, reading):
        return None
    adapter = registry.outbound(name)
    own = adapter.settings_schema()
    known = keys_of(schema) if adapter.calls_back else keys_of(schema) - {"callback"}
    known_keys(found, known | keys_of(own), (), reading)
    settings = load(own, found, reading)
    if base_url := values.pop("base_url", "").strip().rstrip("/"):
        settings["base_url"] = base_url
    _check_addresses(found, settings, reading)
    sandbox = _plays_in_sandbox(found, adapter, settings, values.pop("mode", None), reading)
    values["retry"] = retry
    values["limits"], values["mail_limits"] = read_send_limits(found, adapter, reading)
    made = Destination(
        slug=found.name,
        adapter=name,
        settings=MappingProxyType(settings),
        sandbox=sandbox,
        **values,
    )
    _check_shards(found, made, reading)
    return made


def _check_shards(found: Section, made: Destination, reading: LoadContext) -> None:
    """Check that every shard gets a call at once, and a call in each window of the rate."""
    if made.shards > made.concurrency:
        sentence = (
            f"each of {made.shards} needs a call at once, and `concurrency` is {made.concurrency}: "
            f"raise that, or write at most {made.concurrency}"
        )
        found.fault(reading, ("shards",), sentence)
    if made.rate is not None and made.shards > made.rate.count:
        sentence = (
            f"each of {made.shards} needs a call of the `rate`, which allows {made.rate.count}: "
            f"raise that (the same for a longer time), or write at most {made.rate.count}"
        )
        found.fault(reading, ("shards",), sentence)


def _retry(found: Section, reading: LoadContext) -> RetryPlan:
    node = found.node.value.get("retry")
    if node is None or not isinstance(node.value, dict):
        return RetryPlan()
    given = Located({k: v for k, v in node.value.items() if v.value is not None}, node.line)
    below = Section(given, (*found.path, "retry"))
    schema = RetrySchema()
    known_keys(below, keys_of(schema), (), reading)
    plan = RetryPlan(**load(schema, below, reading))
    if plan.first_delay_s > plan.max_delay_s:
        below.fault(reading, ("first_delay",), "is longer than max_delay")
    return plan


def _check_addresses(found: Section, settings: dict[str, Any], reading: LoadContext) -> None:
    for key in ("base_url", "url"):
        url = settings.get(key)
        if not isinstance(url, str) or not url.strip():
            continue
        if fault := address_fault(url.strip(), allow_private=reading.allow_private):
            found.fault(reading, (key,), fault)


def _plays_in_sandbox(
    found: Section,
    adapter: type[Outbound],
    settings: dict[str, Any],
    mode: str | None,
    reading: LoadContext,
) -> bool:
    missing = adapter.missing(settings)
    if mode == "live" and missing and found.enabled:
        needed = " and ".join(" or ".join(f"`{key}`" for key in either) for either in missing)
        sentence = f"`live` needs {needed}; leave `mode` away to play in the sandbox without"
        found.fault(reading, ("mode",), sentence)
    return mode == "sandbox" or bool(missing)
