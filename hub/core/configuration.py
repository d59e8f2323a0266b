"""Configuration of the hub: the contents of `hub.yaml` as frozen dataclasses.

`hub.config` reads the file and builds them.
"""

from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from hub.core.expressions.templates import Condition, Parameters
from hub.core.leads.assignment_rules import Rule
from hub.core.leads.people import Person


@dataclass(frozen=True, slots=True)
class Site:
    """Settings of the business itself. People with `hours` do not work on `holidays`."""

    name: str = ""
    country: str = "US"
    timezone: str = "UTC"
    holidays: Container[date] = frozenset()


@dataclass(frozen=True, slots=True)
class Rate:
    """A rate limit: at most `count` calls in any window of `per_s` seconds."""

    count: int
    per_s: float


@dataclass(frozen=True, slots=True)
class FormLimits:
    """Spam limits of forms: beyond them a submission is held; beyond `refuse` it is turned away.

    `per_address`, `per_network` and `refuse` count submissions to all forms; `repeats` counts
    submissions of the same text to one form. `links` counts the links in all texts of one
    submission. A submission within less than `min_seconds` of opening the form is held as
    automated.
    """

    per_address: Rate = Rate(20, 600)
    per_network: Rate = Rate(60, 600)
    refuse: Rate = Rate(120, 60)
    repeats: Rate = Rate(3, 3600)
    links: int = 3
    min_seconds: float = 2


@dataclass(frozen=True, slots=True)
class TextLimits:
    """Send limits of a destination's text messages: countries and rates; None means no limit.

    `per_prefix` counts numbers that differ only in their last four digits; `per_address` counts
    numbers that were submitted from one sender's address. `people_per_hour`: texts to numbers in
    hub.yaml itself, caused by forms.
    """

    countries: tuple[str, ...] | None = None
    per_number: Rate | None = None
    per_prefix: Rate | None = None
    per_address: Rate | None = None
    per_day: int | None = None
    people_per_hour: int | None = None


@dataclass(frozen=True, slots=True)
class MailLimits:
    """Send limits of the e-mails of a destination that forms cause; None means the default.

    `per_recipient` counts e-mails to one mailbox, `per_day` all of them; addresses in hub.yaml
    itself are in neither, but in `people_per_hour`.
    """

    per_recipient: Rate | None = None
    per_day: int | None = None
    people_per_hour: int | None = None


@dataclass(frozen=True, slots=True)
class Captcha:
    """CAPTCHA provider of a form, and its keys. `url` overrides the provider's own URL.

    `site_key` is public: the page passes it to the widget.
    """

    kind: str
    secret: str = field(repr=False)
    url: str | None = None
    site_key: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """A source of webhooks. `settings` are its adapter's own keys, as loaded.

    `account` is the destination whose credentials are used to fetch and list the data that the
    webhooks leave out. `expect` is the lowest expected rate: below it the source counts as silent,
    and an alert begins.
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
    """Retry limits of a delivery: attempts, age, and the delays of its backoff (full jitter)."""

    attempts: int = 12
    max_age_s: float = 3 * 86400
    first_delay_s: float = 5
    max_delay_s: float = 6 * 3600


@dataclass(frozen=True, slots=True)
class Destination:
    """A destination: one outbound account. `settings` are its adapter's own keys, as loaded.

    `sandbox`: calls are built, validated and recorded instead of sent. `shards` is the number of
    workers that may call it at once; they divide `rate` and `concurrency`. `callback` is the source
    that receives its status callbacks.
    """

    slug: str
    adapter: str
    settings: Mapping[str, Any] = field(repr=False)
    enabled: bool = True
    sandbox: bool = False
    timeout_s: float = 20
    rate: Rate | None = None
    concurrency: int = 8
    shards: int = 1
    retry: RetryPlan = RetryPlan()
    callback: str | None = None
    limits: TextLimits = TextLimits()
    mail_limits: MailLimits = MailLimits()


@dataclass(frozen=True, slots=True)
class Route:
    """A route: events of these types, under this condition, run an action with parameters.

    `on` are glob patterns over event types. An empty `sources` means any source. `live` is `live`,
    `test` or `any`. `was` are earlier names of the route. `assign` is the assignment list that
    chooses the `owner`, instead of the source's. `escalate_after_s`: seconds that the owner has to
    acknowledge a lead before the next person is notified.
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
    """Sign-in rules of the dashboard: password length, session lifetimes, second factor.

    A session ends `idle` after its last use, and at the latest `longest` after the sign-in.
    """

    password_min: int = 12
    idle: timedelta = timedelta(hours=8)
    longest: timedelta = timedelta(days=7)
    second_factor_required: bool = False


# How long before held leads are deleted people are told of it.
NOTICE = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Retention:
    """Retention: the time span for which each kind of rows is kept; None is for ever.

    `bodies` are the bytes, headers and native objects of requests that verified; `rejected` are
    whole requests that did not. `events` go with their requests, deliveries and attempts, and
    replays go like them; `keys` deduplicate events that are gone. `held` are undecided leads;
    `answers` are the words of far ends beside an attempt. `alerts` are those that ended, `sessions`
    also tickets and codes that are used or over.
    """

    bodies: timedelta | None = timedelta(days=90)
    events: timedelta | None = timedelta(days=400)
    keys: timedelta | None = timedelta(days=800)
    rejected: timedelta | None = timedelta(days=14)
    held: timedelta | None = timedelta(days=60)
    answers: timedelta | None = timedelta(days=30)
    alerts: timedelta | None = timedelta(days=400)
    sessions: timedelta | None = timedelta(days=30)
    audit: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Configuration:
    """Configuration of the whole `hub.yaml`.

    `version` is the first 12 hexadecimal digits of the file's SHA-256.
    """

    version: str
    site: Site = Site()
    sources: Mapping[str, Source] = field(default_factory=dict)
    destinations: Mapping[str, Destination] = field(default_factory=dict)
    routes: Mapping[str, Route] = field(default_factory=dict)
    people: Mapping[str, Person] = field(default_factory=dict)
    assign: Mapping[str, tuple[Rule, ...]] = field(default_factory=dict)
    form_limits: FormLimits = FormLimits()
    users: SignInRules = SignInRules()
    retention: Retention = Retention()
