"""Loading of `hub.yaml`: the parsed values of good files; any other file is a `ConfigError`."""

import json
from base64 import b64encode
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hub.config import PUBLISHED_SECRETS, load_config
from hub.core.configuration import Configuration, Rate, RetryPlan
from hub.core.errors import ConfigError

EXAMPLE = Path(__file__).parents[2] / "hub.example.yaml"
SECRET = "whsec_8Jx0kq2LmZr5Tn7Vw9Yb"


def load(folder: Path, text: str, environ: Mapping[str, str] | None = None) -> Configuration:
    path = folder / "hub.yaml"
    path.write_text(text)
    return load_config(path, environ or {}, published_secrets_allowed=True, allow_private=True)


def faults_of(path: Path) -> tuple[str, ...]:
    """Return the faults of a file, none if it loads; any other exception propagates."""
    try:
        load_config(path, {"HUB_X": "value-of-x"}, published_secrets_allowed=True)
    except ConfigError as error:
        return error.faults
    return ()


def test_the_example_loads_with_an_empty_environment_and_all_of_it_in_the_sandbox() -> None:
    found = load_config(EXAMPLE, {}, published_secrets_allowed=True)
    assert set(found.sources) == {"stripe", "twilio", "sendgrid", "contact"}
    assert set(found.destinations) == {"crm", "payments", "email", "sms", "ops", "chat"}
    assert all(account.sandbox for account in found.destinations.values())
    assert {"payment-to-crm", "lead-to-crm", "bounce-to-crm"} <= set(found.routes)


def test_the_example_is_refused_as_it_stands_once_the_hub_is_public() -> None:
    with pytest.raises(ConfigError) as refused:
        load_config(EXAMPLE, {}, published_secrets_allowed=False)
    printed = [fault for fault in refused.value.faults if "printed in hub.example.yaml" in fault]
    assert len(printed) == len(refused.value.faults) == len(PUBLISHED_SECRETS) == 4


def test_the_example_is_good_for_a_public_hub_with_secrets_of_its_own() -> None:
    own = ec.generate_private_key(ec.SECP256R1())
    public = own.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    private = own.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    environ = {
        "STRIPE_WEBHOOK_SECRET": SECRET,
        "TWILIO_AUTH_TOKEN": "5f3a9c0d1e2b4867a5f3a9c0d1e2b486",
        "SENDGRID_WEBHOOK_KEY": b64encode(public).decode(),
        "SENDGRID_SAMPLE_KEY": b64encode(private).decode(),
    }
    found = load_config(EXAMPLE, environ, published_secrets_allowed=False)
    assert all(account.sandbox for account in found.destinations.values())


@pytest.mark.parametrize("text", ["", "---\n", "site:\nsources:\n", "sources: {}\nroutes: {}\n"])
def test_sections_may_be_absent_or_empty(text: str, tmp_path: Path) -> None:
    assert not load(tmp_path, text).routes


def test_notations_become_seconds_bytes_and_rates(tmp_path: Path) -> None:
    found = load(
        tmp_path,
        f"sources: {{s: {{adapter: stripe, secrets: ['{SECRET}'], max_bytes: 64KiB}}}}\n"
        "destinations:\n"
        "  d:\n"
        "    adapter: hubspot\n"
        "    token: ${TOKEN}\n"
        "    base_url: http://127.0.0.1:9000/\n"
        "    rate: 1/h\n"
        "    timeout: 1m\n"
        "    concurrency: ${MANY:-3}\n"
        "    retry: {attempts: 3, max_age: 2h, first_delay: 10s, max_delay: 5m}\n",
        {"TOKEN": "pat-1"},
    )
    account = found.destinations["d"]
    assert found.sources["s"].max_bytes == 65536
    assert (account.rate, account.timeout_s, account.concurrency) == (Rate(1, 3600), 60, 3)
    assert account.retry == RetryPlan(3, 7200, 10, 300)
    assert not account.sandbox
    assert account.settings["token"] == "pat-1"
    assert account.settings["base_url"] == "http://127.0.0.1:9000"


@pytest.mark.parametrize("key", ["on", "'on'", '"on"'])
def test_on_is_a_key_however_it_is_written(key: str, tmp_path: Path) -> None:
    text = (
        "destinations: {chat: {adapter: slack}}\n"
        f"routes: {{r: {{{key}: stripe.charge.*, do: chat.post, with: {{text: x}}}}}}\n"
    )
    assert load(tmp_path, text).routes["r"].on == ("stripe.charge.*",)
    assert load(tmp_path, "%YAML 1.1\n---\n" + text).routes["r"].on == ("stripe.charge.*",)


def test_what_yaml_would_change_stays_a_text(tmp_path: Path) -> None:
    tree = "{body: {phone: +15005550006, zip: 01234, day: 2026-01-01, count: 3, no: NO, yes: true}}"
    found = load(
        tmp_path,
        "destinations: {ops: {adapter: http, url: 'https://example.org'}}\n"
        f"routes: {{r: {{on: '*', do: ops.post, with: {tree}}}}}\n",
    )
    assert found.routes["r"].parameters.tree["body"] == {
        "phone": "+15005550006",
        "zip": "01234",
        "day": "2026-01-01",
        "count": 3,
        "no": "NO",
        "yes": True,
    }


def test_a_reference_may_be_inside_a_text_and_be_escaped(tmp_path: Path) -> None:
    name = load(tmp_path, "site: {name: '${A} & ${B:-b} $${C}'}", {"A": "a"}).site.name
    assert name == "a & b ${C}"


def test_what_is_switched_off_needs_no_variables_and_no_strong_secrets(tmp_path: Path) -> None:
    found = load(
        tmp_path,
        "sources:\n  s: {adapter: stripe, enabled: no, secrets: ['${NOT_SET}']}\n"
        "destinations:\n  d: {adapter: http, enabled: off, url: '${NOT_SET}', mode: live}\n",
    )
    assert not found.sources["s"].enabled
    assert not found.destinations["d"].enabled


def test_the_version_is_of_the_bytes(tmp_path: Path) -> None:
    first, second = load(tmp_path, "site: {}"), load(tmp_path, "site: {} ")
    assert len(first.version) == 12
    assert first.version != second.version


WORDS = st.sampled_from(
    "site sources destinations routes adapter stripe http hubspot on from do with when secrets url "
    "retry rate 10s 100/10s ${HUB_X} ${ {{ }} {% %} {{data.x}} & * ! | > ? : - , [ ] { } # ' \" \\ "
    "&a *a << null ~ true 1e400 0x1f %YAML --- ...".split(" ")
)
SPACES = st.sampled_from([" ", ": ", "\n", "\n  ", "\n    ", "\n- ", "\t", ""])
YAMLISH = st.lists(st.tuples(WORDS | st.text(max_size=4), SPACES), max_size=25).map(
    lambda parts: "".join(word + space for word, space in parts)
)


@settings(deadline=None, max_examples=400, suppress_health_check=list(HealthCheck))
@given(text=YAMLISH)
def test_any_text_loads_or_is_a_config_error(text: str, tmp_path: Path) -> None:
    path = tmp_path / "hub.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    faults = faults_of(path)
    assert all(fault.startswith(f"{path}:") for fault in faults)
    assert "value-of-x" not in str(faults)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["", "x", "${HUB_X}", "10s"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text("ab:", max_size=2), inner),
    max_leaves=3,
)
KEYS = {
    "site": "name country timezone",
    "sources": "adapter enabled max_bytes secrets",
    "destinations": "adapter enabled mode base_url timeout rate concurrency retry url token",
    "routes": "on from live when do with delay enabled was policy",
}


@settings(deadline=None, max_examples=300, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_value_of_any_key_loads_or_is_a_config_error(
    data: st.DataObject, tmp_path: Path
) -> None:
    section = data.draw(st.sampled_from(sorted(KEYS)))
    keys = data.draw(st.dictionaries(st.sampled_from(KEYS[section].split()), VALUES))
    if section != "site":
        keys = {"adapter": data.draw(st.sampled_from(["stripe", "http", "hubspot"]))} | keys
    tree = {section: keys if section == "site" else {"a": keys}}
    path = tmp_path / "hub.yaml"
    path.write_text(json.dumps(tree))
    assert "value-of-x" not in str(faults_of(path))


@pytest.mark.parametrize("text", ["[" * 5000, "a: &a [*a]\n", "site: {name: \x00}\n", "{" * 3000])
def test_hostile_files_are_config_errors(text: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        load(tmp_path, text)
    bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"{new}: &{new} [{', '.join(['*' + old] * 9)}]\n" for old, new in pairwise("abcdefg")
    )
    with pytest.raises(ConfigError, match="too large"):
        load(tmp_path, bomb)
