"""Cross-references of sources and destinations: accounts and callbacks, right and wrong."""

from pathlib import Path

import pytest

from hub.config import PUBLISHED_SECRETS, load_config
from hub.core.configuration import Configuration
from tests.config.test_errors import GOOD_SECRET, faults_of

PAY = "pay: {adapter: stripe, api_key: sk_test_0000000000000001}"
PAY_TOO = "pay-too: {adapter: stripe, api_key: sk_test_0000000000000002}"
CRM = "crm: {adapter: hubspot, token: t}"
SMS = "adapter: twilio, account_sid: '', auth_token: '', from: '+15005550006'"
OFF = "enabled: false"


def stripe(keys: str = "") -> str:
    return f"sources:\n  stripe: {{adapter: stripe, secrets: [{GOOD_SECRET}]{keys}}}\n"


def destinations(*lines: str) -> str:
    return "destinations:\n" + "".join(f"  {line}\n" for line in lines)


def texting(sms: str, *sources: str) -> str:
    lines = "".join(
        f"  {one}: {{adapter: twilio, secrets: [{GOOD_SECRET}]{keys}}}\n"
        for one, _, keys in (source.partition(" ") for source in sources)
    )
    return ("sources:\n" + lines if lines else "") + destinations(f"sms: {{{SMS}{sms}}}")


def loaded(folder: Path, text: str, **environ: str) -> Configuration:
    path = folder / "hub.yaml"
    path.write_text(text)
    return load_config(path, environ, published_secrets_allowed=True)


@pytest.mark.parametrize(
    ("text", "account"),
    [
        (stripe() + destinations(PAY, CRM), "pay"),
        (stripe() + destinations(CRM), None),
        (stripe(), None),
        (stripe() + destinations(PAY, PAY_TOO), None),
        (stripe() + destinations(PAY, PAY_TOO.replace("{", "{enabled: false, ", 1)), "pay"),
        (stripe(", account: pay-too") + destinations(PAY, PAY_TOO), "pay-too"),
        (stripe(", account: ' pay '") + destinations(PAY), "pay"),
        (stripe(", account:") + destinations(PAY), "pay"),
    ],
)
def test_a_source_s_account_is_the_only_one_or_the_one_that_is_named(
    text: str, account: str | None, tmp_path: Path
) -> None:
    assert loaded(tmp_path, text).sources["stripe"].account == account


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (
            stripe(", account: crm") + destinations(PAY, CRM),
            "2: sources.stripe.account: `crm` will not do: expected a destination with "
            "`adapter: stripe`; expected one of pay",
        ),
        (
            stripe(", account: payy") + destinations(PAY, PAY_TOO),
            "2: sources.stripe.account: `payy` will not do: expected a destination with "
            "`adapter: stripe`; did you mean `pay`?",
        ),
        (
            stripe(", account: pay"),
            "2: sources.stripe.account: `pay` will not do: expected a destination with "
            "`adapter: stripe`; there is none",
        ),
        (stripe(", account: ''"), "2: sources.stripe.account: expected a text"),
        (stripe(", account: [pay]"), "2: sources.stripe.account: expected a text"),
        (
            "sources:\n  a:\n    adapter: form\n    fields: {email: {type: email}}\n"
            "    account: pay\n" + destinations(PAY),
            "5: sources.a.account: `pay` will not do: its adapter fetches nothing; "
            "take the line out",
        ),
    ],
)
def test_an_account_that_will_not_do_is_told_in_its_line(
    text: str, fault: str, tmp_path: Path
) -> None:
    assert faults_of(tmp_path, text) == [fault]


def test_two_sources_never_list_one_account(tmp_path: Path) -> None:
    """Each would ingest the other's webhooks from the list: everything would happen twice."""
    secrets = "secrets: [whsec_8Jx0kq2LmZr5Tn7Vw9Yb]"
    both = "".join(f"  {name}: {{adapter: stripe, {secrets}ACCOUNT}}\n" for name in ("a", "b"))
    text = "sources:\n" + both + destinations(PAY)
    unnamed = loaded(tmp_path, text.replace("ACCOUNT", "")).sources
    assert [source.account for source in unnamed.values()] == [None, None]
    assert faults_of(tmp_path, text.replace("ACCOUNT", ", account: pay")) == [
        "3: sources.b.account: `a` has this account already: what it lists would come in twice"
    ]
    named = text.replace("ACCOUNT", ", account: pay", 1).replace("ACCOUNT", "")
    assert [source.account for source in loaded(tmp_path, named).sources.values()] == ["pay", None]


def test_an_account_that_is_switched_off_is_no_fault(tmp_path: Path) -> None:
    off = PAY.replace("{", "{enabled: false, ", 1)
    linked = loaded(tmp_path, stripe(", account: pay") + destinations(off))
    assert linked.sources["stripe"].account == "pay"
    assert not linked.destinations["pay"].enabled


@pytest.mark.parametrize(
    ("text", "callback"),
    [
        (texting("", "twilio"), "twilio"),
        (texting(""), None),
        (texting("", "twilio", f"other , {OFF}"), "twilio"),
        (texting(", callback: other", "twilio", "other"), "other"),
        (texting(", callback: other", "twilio", f"other , {OFF}"), None),
        (texting(f", {OFF}", "twilio", "other"), None),
    ],
)
def test_a_destination_s_callback_is_the_only_source_or_the_one_that_is_named(
    text: str, callback: str | None, tmp_path: Path
) -> None:
    assert loaded(tmp_path, text).destinations["sms"].callback == callback


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (
            texting("", "one", "two"),
            "5: destinations.sms.callback: several sources could get its status callbacks: "
            "one, two; name one",
        ),
        (
            texting(", callback: twillio", "twilio"),
            "4: destinations.sms.callback: `twillio` will not do: expected a source with "
            "`adapter: twilio`; did you mean `twilio`?",
        ),
        (
            texting(", callback: twilio"),
            "2: destinations.sms.callback: `twilio` will not do: expected a source with "
            "`adapter: twilio`; there is none",
        ),
        (
            stripe() + destinations(f"sms: {{{SMS}, callback: stripe}}"),
            "4: destinations.sms.callback: `stripe` will not do: expected a source with "
            "`adapter: twilio`; there is none",
        ),
    ],
)
def test_a_callback_that_will_not_do_is_told_in_its_line(
    text: str, fault: str, tmp_path: Path
) -> None:
    assert faults_of(tmp_path, text) == [fault]


def test_a_destination_that_is_never_called_back_has_no_such_key(tmp_path: Path) -> None:
    [fault] = faults_of(tmp_path, destinations(PAY.replace("}", ", callback: stripe}")))
    assert fault.startswith("2: destinations.pay.callback: unknown key `callback`")


def test_both_ways_may_tie_the_same_two(tmp_path: Path) -> None:
    linked = loaded(tmp_path, texting("", "twilio"))
    assert linked.sources["twilio"].account == "sms"
    assert linked.destinations["sms"].callback == "twilio"


SENDGRID = """sources:
  sendgrid:
    adapter: sendgrid
    public_keys: ["{public}"]
    sample_key: {sample}
"""
PUBLIC = next(key for key, say in PUBLISHED_SECRETS.items() if say == "set SENDGRID_WEBHOOK_KEY")
PRIVATE = next(key for key, say in PUBLISHED_SECRETS.items() if say == "take the line out")


@pytest.mark.parametrize("sample", ["", "''", '"${SENDGRID_SAMPLE_KEY:-}"'])
def test_a_secret_that_may_be_missing_may_be_blank(sample: str, tmp_path: Path) -> None:
    text = SENDGRID.format(public=PUBLIC, sample=sample)
    assert not loaded(tmp_path, text).sources["sendgrid"].settings.get("sample_key")


@pytest.mark.parametrize("secrets", ["''", "['']", "[]", '"${NOT_THERE:-}"'])
def test_a_secret_that_is_needed_may_not_be_blank(secrets: str, tmp_path: Path) -> None:
    text = f"sources:\n  stripe: {{adapter: stripe, secrets: {secrets}}}\n"
    faults = faults_of(tmp_path, text)
    assert faults
    assert all(fault.startswith("2: sources.stripe.secrets") for fault in faults)


def test_the_example_s_keys_are_refused_once_the_hub_is_public(tmp_path: Path) -> None:
    text = SENDGRID.format(public=PUBLIC, sample=PRIVATE)
    why = "this secret is printed in hub.example.yaml; "
    end = " before the hub is reachable (HUB_PUBLIC_URL is set)"
    faults = faults_of(tmp_path, text, published_secrets_allowed=False)
    assert sorted(faults) == [
        f"4: sources.sendgrid.public_keys.0: {why}set SENDGRID_WEBHOOK_KEY{end}",
        f"5: sources.sendgrid.sample_key: {why}take the line out{end}",
    ]
    assert not any(PUBLIC in fault or PRIVATE in fault for fault in faults)
    loaded(tmp_path, text)


def test_the_example_as_it_stands_is_refused_when_public_in_every_line_that_has_a_key(
    tmp_path: Path,
) -> None:
    example = (Path(__file__).parents[2] / "hub.example.yaml").read_text()
    faults = faults_of(tmp_path, example, published_secrets_allowed=False)
    lines = [
        number
        for number, line in enumerate(example.splitlines(), 1)
        if any(secret in line for secret in PUBLISHED_SECRETS)
    ]
    assert sorted(int(fault.partition(":")[0]) for fault in faults) == lines
    assert not any(secret in fault for fault in faults for secret in PUBLISHED_SECRETS)
