"""What `hub.yaml` says, as values that nothing can change. `hub.config` makes them."""

from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from hub.core.expressions.templates import Condition, Parameters
from hub.core.leads.assignment_rules import Rule
from hub.core.leads.people import Person


@dataclass(frozen=True, slots=True)
class Site:
    """The business. On `holidays` nobody with `hours` works."""

    name: str = ""
    country: str = "US"
    timezone: str = "UTC"
    holidays: Container[date] = frozenset()


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `count` calls in any `per_s` seconds."""

    count: int
    per_s: float


@dataclass(frozen=True, slots=True)
class FormLimits:
    """From when on what a form takes in is held; beyond `refuse` an address is turned away.

    `per_address`, `per_network` and `refuse` count the posts to all forms, `repeats` those to one
    form with one text. `links` are those in all texts together. Whoever takes less than
    `min_seconds` from seeing the form to sending it is no person.
    """

    per_address: Rate = Rate(20, 600)
    per_network: Rate = Rate(60, 600)
    refuse: Rate = Rate(120, 60)
    repeats: Rate = Rate(3, 3600)
    links: int = 3
    min_seconds: float = 2


@dataclass(frozen=True, slots=True)
class TextLimits:
    """Which telephones a destination texts, and how often; None is no limit.

    `per_prefix` counts numbers that differ in their last four digits only, `per_address` those
    that one sender of forms gave.
    """

    countries: tuple[str, ...] | None = None
    per_number: Rate | None = None
    per_prefix: Rate | None = None
    per_address: Rate | None = None
    per_day: int | None = None


@dataclass(frozen=True, slots=True)
class Captcha:
    """Who says whether a form was filled in by a person. `url` instead of the provider's own.

    `site_key` is public: the widget is shown with it.
    """

    kind: str
    secret: str = field(repr=False)
    url: str | None = None
    site_key: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """A place that webhooks come from. `settings` are its adapter's own keys, as loaded.

    `account` is the destination whose credentials fetch and list what its webhooks leave out.
    `expect`: with less than that it is silent, and somebody is told.
    """

    slug: str
    adapter: str
    settings: Mapping[str, Any] = field(repr=False)
    enabled: bool = True
    max_bytes: int = 1024 * 1024
    account: str | None = None
    assign: str | None = None
    captcha: Captcha | None = None
    expect: Rate | None = None


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
    limits: TextLimits = TextLimits()


@dataclass(frozen=True, slots=True)
class Route:
    """These event types, under this condition, run this action with these parameters.

    `on` are globs over event types. `sources` empty means any. `live` is `live`, `test` or `any`.
    `was` are names that the route had before. `assign` is the list that names the `owner`, instead
    of the source's. `escalate_after_s`: how long the owner has until the next person is told.
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
    assign: str | None = None
    escalate_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class SignInRules:
    """How people sign in to the dashboard, and for how long.

    A session ends `idle` after the last click, and `longest` after the sign-in.
    """

    password_min: int = 12
    idle: timedelta = timedelta(hours=8)
    longest: timedelta = timedelta(days=7)
    second_factor_required: bool = False


@dataclass(frozen=True, slots=True)
class Configuration:
    """The whole file. `version` is the first 12 hexadecimal digits of its SHA-256."""

    version: str
    site: Site = Site()
    sources: Mapping[str, Source] = field(default_factory=dict)
    destinations: Mapping[str, Destination] = field(default_factory=dict)
    routes: Mapping[str, Route] = field(default_factory=dict)
    people: Mapping[str, Person] = field(default_factory=dict)
    assign: Mapping[str, tuple[Rule, ...]] = field(default_factory=dict)
    form_limits: FormLimits = FormLimits()
    users: SignInRules = SignInRules()
