"""Faulty files: the exact sentences and line numbers, and all faults reported at once."""

from pathlib import Path

import pytest

from adapters import registry
from hub.config import PUBLISHED_SECRETS, load_config
from hub.config.load import SECTIONS
from hub.core.errors import ConfigError

GOOD_SECRET = "whsec_8Jx0kq2LmZr5Tn7Vw9Yb"
STRIPE = f"sources:\n  stripe: {{adapter: stripe, secrets: [{GOOD_SECRET}]}}\n"
CRM = "destinations: {crm: {adapter: hubspot, token: ''}}\n"
HOLIDAYS = (
    "expected a country like US, a part of one like US-NY, or a list of dates like 2026-12-24"
)
SLUG = "expected a lower-case letter, then up to 62 of a-z 0-9 _ -"


def faults_of(folder: Path, text: str | bytes, **options: object) -> list[str]:
    """Return the faults of a file without the file's name: `LINE: sentence`."""
    path = folder / "hub.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    settings = {"published_secrets_allowed": True, "environ": {}} | options
    with pytest.raises(ConfigError) as caught:
        load_config(path, **settings)  # type: ignore[arg-type]
    assert all(fault.startswith(f"{path}:") for fault in caught.value.faults)
    return [fault.removeprefix(f"{path}:") for fault in caught.value.faults]


def source(keys: str) -> str:
    return f"sources:\n  stripe:\n    adapter: stripe\n    {keys}\n"


def destination(keys: str) -> str:
    return f"destinations:\n  ops:\n    adapter: http\n    url: https://example.org\n    {keys}\n"


def route(keys: str) -> str:
    return f"{STRIPE}{CRM}routes:\n  r:\n    {keys}\n"


def crm(keys: str) -> str:
    return route(f"on: payment.succeeded\n    do: crm.upsert_contact\n    {keys}")


WITH = "with: {email: a@example.org}"

CASES = {
    "a tab": ("site:\n\tname: x\n", ["2: not YAML: a tab where only spaces may indent"]),
    "an open quote": (
        'site:\n  name: "x\n',
        ["2: not YAML: while scanning a quoted scalar: it never ends"],
    ),
    "no mapping": ("- 1\n", [f"1: expected a mapping of {', '.join(SECTIONS)}"]),
    "a section of a list": ("site: {}\nroutes: [1]\n", ["2: routes: expected a mapping of names"]),
    "not UTF-8": (b"site:\n  name: \xff\n", ["2: not UTF-8 text"]),
    "a tag": ("site:\n  name: !x y\n", ["2: site.name: the tag !x is not supported"]),
    "an unknown section": (
        "sorces: {}\n",
        ["1: sorces: unknown key `sorces`; did you mean `sources`?"],
    ),
    "a planned section": (
        "site: {}\nalerts: {}\n",
        ["2: alerts: `alerts` is not there yet"],
    ),
    "users of a list": ("users: [jane]\n", ["1: users: expected a mapping of keys"]),
    "an unknown key of users": (
        "users:\n  password: 12\n",
        ["2: users.password: unknown key `password`; did you mean `password_min`?"],
    ),
    "a password of any length": (
        "users:\n  password_min: 4\n",
        ["2: users.password_min: expected a whole number from 8 to 64"],
    ),
    "a session without end": (
        "users:\n  idle: 8h\n  longest: 400d\n",
        ["3: users.longest: expected a duration from 5m to 90d"],
    ),
    "a session that sleeps longer than it lives": (
        "users:\n  longest: 1h\n  idle: 8h\n",
        ["3: users.idle: longer than `longest`: no session would live to see it"],
    ),
    "a second factor": (
        "users:\n  second_factor: yes\n",
        ["2: users.second_factor: expected optional or required"],
    ),
    "a key twice": (
        "site:\n  name: a\n  name: b\n",
        ["3: site: `name` is given twice, first in line 2"],
    ),
    "an unquoted template": (
        route(
            "on: payment.succeeded\n    do: crm.upsert_contact\n    with: {email: {{ data.email }}}"
        ),
        ["8: routes.r.with.email: a key must be a text; put quotes around `{{ … }}` and `${…}`"],
    ),
    "a time zone": (
        "site: {timezone: America/New_Yrk}\n",
        [
            "1: site.timezone: there is no time zone `America/New_Yrk`; "
            "did you mean `America/New_York`?"
        ],
    ),
    "a country": ("site: {country: USA}\n", ["1: site.country: expected two letters, like US"]),
    "holidays": ("site:\n  holidays: usa\n", [f"2: site.holidays: {HOLIDAYS}"]),
    "a name": ("sources:\n  Stripe: {}\n", [f"2: sources: `Stripe` is not a name; {SLUG}"]),
    "no adapter": ("sources:\n  a:\n    enabled: true\n", ["2: sources.a.adapter: is required"]),
    "an adapter": (
        "sources:\n  a:\n    adapter: strip\n",
        ["3: sources.a.adapter: unknown adapter `strip`; did you mean `stripe`?"],
    ),
    "a source's rate": (
        source(f"expect: sometimes\n    secrets: [{GOOD_SECRET}]"),
        ["4: sources.stripe.expect: expected a rate like 100/10s or 1/h"],
    ),
    "a source's unknown key": (
        source("secret: x"),
        [
            "2: sources.stripe.secrets: is required",
            "4: sources.stripe.secret: unknown key `secret`; did you mean `secrets`?",
        ],
    ),
    "a size": (
        source(f"max_bytes: 64\n    secrets: [{GOOD_SECRET}]"),
        ["4: sources.stripe.max_bytes: a size needs a unit: 64KiB, 64MiB"],
    ),
    "a variable": (
        source('secrets: ["${STRIPE_WEBHOOK_SECRET}"]'),
        [
            "4: sources.stripe.secrets.0: the environment variable STRIPE_WEBHOOK_SECRET is not "
            "set; set it, or give a default: ${STRIPE_WEBHOOK_SECRET:-…}"
        ],
    ),
    "a broken reference": (
        source('secrets: ["${1X}"]'),
        [
            "4: sources.stripe.secrets.0: expected ${NAME} or ${NAME:-default}; "
            "a plain `${` is written `$${`"
        ],
    ),
    "a duration": (
        destination("timeout: 20"),
        ["5: destinations.ops.timeout: a duration needs a unit: 20s 20m 20h 20d"],
    ),
    "a long duration": (
        destination("timeout: 5m"),
        ["5: destinations.ops.timeout: expected a duration from 1s to 60s"],
    ),
    "a rate": (
        destination("rate: 100 per 10s"),
        ["5: destinations.ops.rate: expected a rate like 100/10s or 1/h"],
    ),
    "a concurrency": (
        destination("concurrency: 257"),
        ["5: destinations.ops.concurrency: expected a whole number from 1 to 256"],
    ),
    "a retry plan": (
        destination("retry:\n      attempt: 3\n      max_age: 3"),
        [
            "6: destinations.ops.retry.attempt: unknown key `attempt`; did you mean `attempts`?",
            "7: destinations.ops.retry.max_age: a duration needs a unit: 3s 3m 3h 3d",
        ],
    ),
    "shards": (
        destination("shards: 65"),
        ["5: destinations.ops.shards: expected a whole number from 1 to 64"],
    ),
    "more shards than calls at once": (
        destination("shards: 9"),
        [
            "5: destinations.ops.shards: each of 9 needs a call at once, and `concurrency` is 8: "
            "raise that, or write at most 8"
        ],
    ),
    "more shards than calls of the rate": (
        destination("rate: 3/1s\n    shards: 4"),
        [
            "6: destinations.ops.shards: each of 4 needs a call of the `rate`, which allows 3: "
            "raise that (the same for a longer time), or write at most 3"
        ],
    ),
    "live without credentials": (
        destination("mode: live"),
        [
            "5: destinations.ops.mode: `live` needs `secret`; leave `mode` away to play in the "
            "sandbox without"
        ],
    ),
    "a plain address": (
        destination("base_url: http://example.org"),
        [
            "5: destinations.ops.base_url: plain http:// is only for private addresses, and "
            "HUB_ALLOW_PRIVATE_DESTINATIONS is off; use https://"
        ],
    ),
    "a private address": (
        destination("base_url: https://10.0.0.1"),
        ["5: destinations.ops.base_url: a private address; HUB_ALLOW_PRIVATE_DESTINATIONS is off"],
    ),
    "an event type": (
        route(f"on: payment.succeded\n    do: crm.upsert_contact\n    {WITH}"),
        [
            "6: routes.r.on: `payment.succeded` matches no event type; "
            "did you mean `payment.succeeded`?"
        ],
    ),
    "a source that is not there": (
        crm(f"from: strpe\n    {WITH}"),
        ["8: routes.r.from: there is no source `strpe`; did you mean `stripe`?"],
    ),
    "a destination that is not there": (
        route("on: payment.*\n    do: mail.send"),
        ["7: routes.r.do: there is no destination `mail`; expected one of crm"],
    ),
    "an action that is not there": (
        route("on: payment.*\n    do: crm.upsert"),
        ["7: routes.r.do: `crm` has no action `upsert`; did you mean `upsert_contact`?"],
    ),
    "no action": (
        route("on: payment.*\n    do: crm"),
        ["7: routes.r.do: expected <destination>.<action>"],
    ),
    "a planned key of a route": (
        crm(f"quiet_hours: 1\n    {WITH}"),
        ["8: routes.r.quiet_hours: `quiet_hours` is not there yet"],
    ),
    "a condition": (
        crm(f"when: dta.amount > 1\n    {WITH}"),
        [
            "8: routes.r.when: unknown name `dta`; expected one of "
            "cause, contact, data, event, owner, results, site"
        ],
    ),
    "braces around a condition": (
        crm(f"when: '{{{{ data.email }}}}'\n    {WITH}"),
        ["8: routes.r.when: write the expression without {{ }} or {% %}"],
    ),
    "templates": (
        crm(
            "with:\n      email: '{{ dat.email }}'\n      properties:\n"
            "        a: '{{ data.x | nope }}'"
        ),
        [
            "9: routes.r.with.email: unknown name `dat`; expected one of "
            "cause, contact, data, event, owner, results, site",
            "11: routes.r.with.properties.a: No filter named 'nope'.",
        ],
    ),
    "parameters": (
        crm("with:\n      emial: x"),
        [
            "8: routes.r.with.email: crm.upsert_contact needs it",
            "9: routes.r.with.emial: unknown parameter `emial` of crm.upsert_contact; "
            "did you mean `email`?",
        ],
    ),
    "a policy that cannot be kept": (
        crm(f"policy: at_most_once\n    {WITH}"),
        ["8: routes.r.policy: this action is natural and repeated when in doubt; leave it away"],
    ),
    "a former name": (crm(f"was: r\n    {WITH}"), ["8: routes.r.was: `r` is a route of its own"]),
    "many at once": (
        "site:\n  nam: x\nsources:\n  a: {adapter: nope}\n"
        "destinations:\n  b: 1\nroutes:\n  c: {}\n",
        [
            "2: site.nam: unknown key `nam`; did you mean `name`?",
            "4: sources.a.adapter: unknown adapter `nope`; expected one of "
            + ", ".join(sorted(registry.INBOUND)),
            "6: destinations.b: expected a mapping of keys",
            "8: routes.c.on: is required",
            "8: routes.c.do: is required",
        ],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_fault_says_its_line_and_what_was_expected(case: str, tmp_path: Path) -> None:
    text, expected = CASES[case]
    assert faults_of(tmp_path, text) == expected


@pytest.mark.parametrize(
    ("secret", "sentence"),
    [
        ("", "the secret is blank"),
        ("   ", "the secret is blank"),
        ("whsec_", "the secret is blank"),
        ("Qz7-kk", "the secret is shorter than 16 characters"),
        ("aaaaaaaaaaaaaaaaaaaaaaaa", "the secret is one repeated character"),
        ("whsec_xxxxxxxxxxxxxxxxxxxx", "the secret is one repeated character"),
        ("whsec_placeholder", "the secret is a placeholder"),
        ("ChangeMe", "the secret is a placeholder"),
        ("${STRIPE_WEBHOOK_SECRET}", "the secret still says ${…}"),
    ],
)
def test_a_weak_secret_is_refused_and_never_repeated(
    secret: str, sentence: str, tmp_path: Path
) -> None:
    text = source('secrets: ["${S:-}"]')
    (fault,) = faults_of(tmp_path, text, environ={"S": secret})
    assert fault.startswith(f"4: sources.stripe.secrets.0: {sentence}")
    assert not secret.strip() or secret not in fault


@pytest.mark.parametrize("secret", PUBLISHED_SECRETS)
def test_a_published_secret_is_refused_once_the_hub_is_public(secret: str, tmp_path: Path) -> None:
    text = source(f"secrets: [{secret}]")
    assert faults_of(tmp_path, text, published_secrets_allowed=False) == [
        "4: sources.stripe.secrets.0: this secret is printed in hub.example.yaml; "
        f"{PUBLISHED_SECRETS[secret]} before the hub is reachable (HUB_PUBLIC_URL is set)"
    ]


def test_a_file_that_is_not_there_is_one_fault(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file; start from"):
        load_config(tmp_path / "hub.yaml", {}, published_secrets_allowed=True)
