"""Captcha widgets on hosted forms: their markup, and the page's Content-Security-Policy."""

from pathlib import Path

import pytest
from flask.testing import FlaskClient

from hub.app import create_app
from hub.settings import load_settings
from hub.web.forms.hosted import WIDGETS
from tests.web.forms.test_hosted import Tags

CONFIG = """
sources:
  plain: {adapter: form, redirect: "https://acme.example/thanks", fields: {name: {required: true}}}
"""
GUARDED = """\
  KIND:
    adapter: form
    captcha: {kind: KIND, site_key: key-of_KIND, secret: 0123456789-the-secret}
    fields: {name: {required: true}}
"""
CLOUDFLARE = "https://challenges.cloudflare.com"
HCAPTCHA = "https://hcaptcha.com https://*.hcaptcha.com"
GOOGLE = "https://www.google.com/recaptcha/ https://www.gstatic.com/recaptcha/"
POLICIES = {
    "turnstile": f"script-src 'self' {CLOUDFLARE}; style-src 'self'; connect-src 'self'; "
    f"frame-src {CLOUDFLARE}",
    "hcaptcha": f"script-src 'self' {HCAPTCHA}; style-src 'self' {HCAPTCHA}; "
    f"connect-src 'self' {HCAPTCHA}; frame-src {HCAPTCHA}",
    "recaptcha": f"script-src 'self' {GOOGLE}; style-src 'self'; connect-src 'self'; "
    f"frame-src {GOOGLE}",
    "plain": "script-src 'self'; style-src 'self'; connect-src 'self'",
}
MARKS = {"turnstile": "cf-turnstile", "hcaptcha": "h-captcha", "recaptcha": "g-recaptcha"}


@pytest.fixture
def browser(tmp_path: Path) -> FlaskClient:
    path = tmp_path / "hub.yaml"
    path.write_text(CONFIG + "".join(GUARDED.replace("KIND", kind) for kind in WIDGETS))
    environ = {"HUB_CONFIG": str(path), "DATABASE_URL": f"sqlite:///{tmp_path}/hub.db"}
    environ |= {"SECRET_KEY": "for the tests of the widgets, alone"}
    return create_app(load_settings(environ), environ).test_client()


@pytest.mark.parametrize("form", POLICIES)
@pytest.mark.parametrize("is_again", [False, True], ids=["at first", "with faults"])
def test_a_page_loads_from_the_provider_of_its_own_captcha_and_from_nobody_else(
    browser: FlaskClient, form: str, is_again: bool
) -> None:
    sent = {"_hosted": "1", "name": ""}
    address = f"/forms/{form}"
    answer = browser.post(address, data=sent) if is_again else browser.get(address)
    assert answer.status_code == (422 if is_again else 200)
    target = " https://acme.example" if form == "plain" else ""
    assert answer.headers["Content-Security-Policy"] == (
        f"default-src 'none'; {POLICIES[form]}; form-action 'self'{target}; "
        "base-uri 'none'; frame-ancestors 'none'"
    )
    scripts = [about["src"] for tag, about in Tags(answer.text).found if tag == "script"]
    assert scripts == [f"/forms/{form}.js", *([WIDGETS[form].script] if form in WIDGETS else [])]


@pytest.mark.parametrize("form", WIDGETS)
def test_the_widget_stands_in_the_form_with_its_site_key_and_no_secret(
    browser: FlaskClient, form: str
) -> None:
    page = browser.get(f"/forms/{form}").text
    inside = page.partition("<form")[2].partition("</form>")[0]
    [place] = [about for _, about in Tags(inside).found if "data-sitekey" in about]
    assert MARKS[form] in str(place["class"]).split()
    assert place["data-sitekey"] == f"key-of_{form}"
    assert "a person looks at it first" in inside
    assert "the-secret" not in page


def test_a_form_without_a_captcha_has_no_place_for_one(browser: FlaskClient) -> None:
    page = browser.get("/forms/plain").text
    assert "sitekey" not in page
    assert "noscript" not in page
