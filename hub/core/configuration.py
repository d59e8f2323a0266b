"""What `hub.yaml` says, as values that nothing can change. `hub.config` makes them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hub.core.templates import Condition, Parameters


@dataclass(frozen=True, slots=True)
class Site:
    name: str = ""
    country: str = "US"
    timezone: str = "UTC"


@dataclass(frozen=True, slots=True)
class Source:
    """A place that webhooks come from. `settings` are its adapter's own keys, as loaded.

    `account` is the destination whose credentials fetch and list what its webhooks leave out.
    """

    slug: str
    adapter: str
    settings: Mapping[str, Any] = field(repr=False)
    enabled: bool = True
    max_bytes: int = 1024 * 1024
    account: str | None = None


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `count` calls in any `per_s` seconds."""

    count: int
    per_s: float


@dataclass(frozen=True, slots=True)
class RetryPlan:
    """How often, for how long and how far apart a delivery is tried (full jitter)."""

    attempts: int = 12
    max_age_s: float = 3 * 86400
    first_delay_s: float = 5
    max_delay_s: float = 6 * 3600


@dataclass(frozen=True, slots=True)
class Destination:
    """An outbound account. `settings` are its adapter's own keys, as loaded.

    `sandbox`: calls are built, validated and recorded instead of sent. `callback` is the source
    that gets its status callbacks.
    """

    slug: str
    adapter: str
    settings: Mapping[str, Any] = field(repr=False)
    enabled: bool = True
    sandbox: bool = False
    timeout_s: float = 20
    rate: Rate | None = None
    concurrency: int = 8
    retry: RetryPlan = RetryPlan()
    callback: str | None = None


@dataclass(frozen=True, slots=True)
class Route:
    """These event types, under this condition, run this action with these parameters.

    `on` are globs over event types. `sources` empty means any. `live` is `live`, `test` or `any`.
    `was` are names that the route had before.
    """

    name: str
    on: tuple[str, ...]
    destination: str
    action: str
    parameters: Parameters
    sources: tuple[str, ...] = ()
    live: str = "live"
    when: Condition | None = None
    delay_s: float = 0
    enabled: bool = True
    was: tuple[str, ...] = ()
    at_least_once: bool = False


@dataclass(frozen=True, slots=True)
class Configuration:
    """The whole file. `version` is the first 12 hexadecimal digits of its SHA-256."""

    version: str
    site: Site = Site()
    sources: Mapping[str, Source] = field(default_factory=dict)
    destinations: Mapping[str, Destination] = field(default_factory=dict)
    routes: Mapping[str, Route] = field(default_factory=dict)
