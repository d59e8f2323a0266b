"""`limits` and `captcha` in `hub.yaml`: the parsed values, and the exact sentence of each fault."""

from pathlib import Path

import pytest

from hub.cli.check import check_everything
from hub.cli.checks.accounts import check_visitors
from hub.config import load_config
from hub.core.configuration import Captcha, Configuration, FormLimits, MailLimits, Rate, TextLimits
from hub.core.errors import ConfigError
from hub.settings import load_settings

FORM = "sources:\n  contact:\n    adapter: form\n    fields: {name: {}}\n"
SMS = "destinations:\n  sms:\n    adapter: twilio\n"
MAIL = "destinations:\n  email:\n    adapter: sendgrid\n"
SECRET = "0x4AAAAAAA-the-secret-of-a-form"
PRIVATE = "a private address; HUB_ALLOW_PRIVATE_DESTINATIONS is off"
RATE = "expected a rate like 100/10s or 1/h"


def loaded(folder: Path, text: str, **options: object) -> Configuration:
    path = folder / "hub.yaml"
    path.write_text(text)
    given: dict[str, object] = {"environ": {}, "published_secrets_allowed": True} | options
    return load_config(path, **given)  # type: ignore[arg-type]


def faults_of(folder: Path, text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        loaded(folder, text)
    return [fault.removeprefix(f"{folder}/hub.yaml:") for fault in caught.value.faults]


@pytest.mark.parametrize("text", ["", "limits:\n", "limits: {}\n", "limits: {forms: {}}\n"])
def test_without_a_word_forms_have_the_documented_limits(tmp_path, text) -> None:
    assert loaded(tmp_path, text).form_limits == FormLimits(
        per_address=Rate(20, 600), per_network=Rate(60, 600), refuse=Rate(120, 60),
        repeats=Rate(3, 3600), links=3, min_seconds=2,
    )  # fmt: skip


def test_each_limit_of_forms_can_be_set(tmp_path) -> None:
    text = (
        "limits: {forms: {per_address: 1/2s, per_network: 3/h, refuse: 5/6m, repeats: 7/8d, "
        "links: 0, min_seconds: 0.5}}\n"
    )
    assert loaded(tmp_path, text).form_limits == FormLimits(
        Rate(1, 2), Rate(3, 3600), Rate(5, 360), Rate(7, 8 * 86400), 0, 0.5
    )


def test_each_limit_of_texts_can_be_set(tmp_path) -> None:
    text = (
        SMS + "    limits: {countries: [us, CA], per_number: 3/1d, per_prefix: 30/1h, "
        "per_address: 5/1d, per_day: 500, people_per_hour: 90}\n"
    )
    assert loaded(tmp_path, text).destinations["sms"].limits == TextLimits(
        ("US", "CA"), Rate(3, 86400), Rate(30, 3600), Rate(5, 86400), 500, 90
    )


def test_each_limit_of_mails_can_be_set(tmp_path) -> None:
    text = MAIL + "    limits: {per_recipient: 1/2h, per_day: 3, people_per_hour: 4}\n"
    mail = loaded(tmp_path, text).destinations["email"]
    assert (mail.limits, mail.mail_limits) == (TextLimits(), MailLimits(Rate(1, 7200), 3, 4))


@pytest.mark.parametrize("text", [SMS, MAIL, SMS + "    limits: {}\n", MAIL + "    limits:\n"])
def test_without_a_word_a_destination_has_none_of_its_own(tmp_path, text) -> None:
    [found] = loaded(tmp_path, text).destinations.values()
    assert (found.limits, found.mail_limits) == (TextLimits(), MailLimits())


def test_one_country_needs_no_list(tmp_path) -> None:
    text = SMS + "    limits: {countries: DE}\n"
    assert loaded(tmp_path, text).destinations["sms"].limits.countries == ("DE",)


def test_a_captcha_is_read_with_its_secret_from_the_environment(tmp_path) -> None:
    text = FORM + '    captcha: {kind: hcaptcha, site_key: 10000000-ffff, secret: "${CAPTCHA}"}\n'
    configuration = loaded(tmp_path, text, environ={"CAPTCHA": SECRET})
    assert configuration.sources["contact"].captcha == Captcha(
        "hcaptcha", SECRET, site_key="10000000-ffff"
    )
    assert SECRET not in repr(configuration)


def test_without_a_word_a_form_has_no_captcha(tmp_path) -> None:
    assert loaded(tmp_path, FORM).sources["contact"].captcha is None


CASES = {
    "no mapping": ("site: {}\nlimits: 3\n", ["2: limits: expected a mapping of keys"]),
    "an unknown kind of limit": (
        "limits:\n  form: {}\n",
        ["2: limits.form: unknown key `form`; did you mean `forms`?"],
    ),
    "forms are no mapping": (
        "limits:\n  forms: 3\n",
        ["2: limits.forms: expected a mapping"],
    ),
    "an unknown limit": (
        "limits:\n  forms:\n    per_adress: 1/h\n",
        ["3: limits.forms.per_adress: unknown key `per_adress`; did you mean `per_address`?"],
    ),
    "rates that are none": (
        "limits:\n  forms:\n    per_address: 20\n    refuse: 0/1m\n    repeats: 3/0h\n",
        [
            f"3: limits.forms.per_address: {RATE}",
            f"4: limits.forms.refuse: {RATE}",
            f"5: limits.forms.repeats: {RATE}",
        ],
    ),
    "links and seconds": (
        "limits:\n  forms:\n    links: -1\n    min_seconds: 2s\n",
        [
            "3: limits.forms.links: expected a whole number from 0 to 1000",
            "4: limits.forms.min_seconds: expected seconds, from 0 to 60",
        ],
    ),
    "a country that is none": (
        SMS + "    limits:\n      countries: [US, XX]\n",
        ["5: destinations.sms.limits.countries: there is no country `XX`; expected US, CA, …"],
    ),
    "texts": (
        SMS + "    limits:\n      per_day: 0\n      per_number: often\n      per_hour: 3/h\n",
        [
            "5: destinations.sms.limits.per_day: expected a whole number from 1 to 1000000",
            f"6: destinations.sms.limits.per_number: {RATE}",
            "7: destinations.sms.limits.per_hour: unknown key `per_hour`; did you mean "
            "`people_per_hour`?",
        ],
    ),
    "mails": (
        MAIL + "    limits:\n      per_day: 0\n      per_recipient: often\n      countries: US\n"
        "      people_per_hour: 1/h\n",
        [
            "5: destinations.email.limits.per_day: expected a whole number from 1 to 1000000",
            f"6: destinations.email.limits.per_recipient: {RATE}",
            "7: destinations.email.limits.countries: unknown key `countries`; expected one of "
            "people_per_hour, per_day, per_recipient",
            "8: destinations.email.limits.people_per_hour: expected a whole number from 1 to "
            "1000000",
        ],
    ),
    "a destination that writes to nobody": (
        "destinations:\n  ops:\n    adapter: http\n    url: https://example.org\n"
        "    limits: {per_day: 3}\n",
        [
            "5: destinations.ops.limits: are for destinations that send texts or e-mails; take "
            "them out",
        ],
    ),
    "limits that are no mapping": (
        SMS + "    limits: 3\n",
        ["4: destinations.sms.limits: expected a mapping"],
    ),
    "a captcha without its secret": (
        FORM + "    captcha: {kind: turnstile, site_key: 0x4AAA}\n",
        ["5: sources.contact.captcha.secret: is required"],
    ),
    "a captcha without its site key": (
        FORM + f"    captcha: {{kind: turnstile, secret: {SECRET}}}\n",
        [
            "5: sources.contact.captcha.site_key: is required, for the form that the hub shows: "
            "expected the public key beside the secret, letters and digits"
        ],
    ),
    "a captcha whose site key is none": (
        FORM + f"    captcha: {{kind: turnstile, secret: {SECRET}, site_key: 'a b'}}\n",
        [
            "5: sources.contact.captcha.site_key: expected the public key beside the secret, "
            "letters and digits"
        ],
    ),
    "a captcha of somebody else": (
        FORM + f"    captcha: {{kind: friendly, secret: {SECRET}, site_key: a}}\n",
        ["5: sources.contact.captcha.kind: expected turnstile or hcaptcha or recaptcha"],
    ),
    "a captcha at a private address": (
        FORM + "    captcha: {kind: turnstile, site_key: a, url: 'http://127.0.0.1/x', "
        f"secret: {SECRET}}}\n",
        [f"5: sources.contact.captcha.url: {PRIVATE}"],
    ),
    "a captcha that is none": (
        FORM + "    captcha: yes\n",
        ["5: sources.contact.captcha: expected a mapping"],
    ),
    "a captcha where no form is": (
        "sources:\n  s:\n    adapter: stripe\n    secrets: [whsec_8Jx0kq2LmZr5Tn7Vw9Yb]\n"
        f"    captcha: {{kind: turnstile, site_key: a, secret: {SECRET}}}\n",
        None,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_each_fault_is_told_with_its_line(tmp_path, name) -> None:
    text, expected = CASES[name]
    found = faults_of(tmp_path, text)
    if expected is None:
        [fault] = found
        assert fault.startswith("5: sources.s.captcha: unknown key `captcha`")
    else:
        assert found == expected


def test_the_number_of_proxies_is_a_setting_and_0_without_a_word() -> None:
    assert load_settings({}).proxy_hops == 0
    assert load_settings({"HUB_PROXY_HOPS": "2"}).proxy_hops == 2
    with pytest.raises(ConfigError, match="HUB_PROXY_HOPS: expected a whole number from 0 to 10"):
        load_settings({"HUB_PROXY_HOPS": "11"})


@pytest.mark.parametrize(
    ("text", "environ", "subjects"),
    [
        (FORM, {"HUB_PUBLIC_URL": "https://hub.example"}, ["source contact"]),
        (FORM.replace("{}}", "{}}\n  other: {adapter: form, fields: {a: {}}}"),
         {"HUB_PUBLIC_URL": "https://hub.example"}, ["forms"]),
        (FORM, {"HUB_PUBLIC_URL": "https://hub.example", "HUB_PROXY_HOPS": "1"}, []),
        (FORM, {}, []),
        (FORM + "    enabled: false\n", {"HUB_PUBLIC_URL": "https://hub.example"}, []),
        ("", {"HUB_PUBLIC_URL": "https://hub.example"}, []),
    ],
)  # fmt: skip
def test_a_public_form_that_may_not_know_its_visitors_is_noted_once(
    tmp_path, monkeypatch, text, environ, subjects
) -> None:
    monkeypatch.chdir(tmp_path)
    found = check_visitors(loaded(tmp_path, text), load_settings(environ))
    assert [(one.level, one.subject) for one in found] == [("note", s) for s in subjects]
    assert all("HUB_PROXY_HOPS is 0" in one.message for one in found)


def test_hub_check_says_so(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hub.yaml").write_text(FORM)
    environ = {"HUB_PUBLIC_URL": "https://hub.example", "SECRET_KEY": "k" * 8 + "eys" * 8}
    found = [one for one in check_everything(environ) if "HUB_PROXY_HOPS" in one.message]
    assert [one.subject for one in found] == ["source contact"]
