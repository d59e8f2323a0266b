"""Signing keys of forms: one per source, derived from the hub's secret, without revealing it."""

from adapters import FormInbound
from adapters.form.settings import FormSettings
from hub.core.configuration import Configuration, Source
from hub.core.hub import Hub
from hub.core.leads.form_tokens import with_form_keys
from tests.adapters.posting import NOW

SETTINGS = FormSettings().load({"fields": {"email": {"type": "email"}}})
SOURCES = {
    "one": Source("one", "form", SETTINGS),
    "two": Source("two", "form", SETTINGS),
    "stripe": Source("stripe", "stripe", {"secrets": ["whsec_x"]}),
}


def token_of(source: str, secret: str) -> str:
    configuration = with_form_keys(Configuration("v", sources=SOURCES), secret)
    hub = Hub(configuration, None, None, None)  # type: ignore[arg-type]
    form = hub.inbound(source)
    assert isinstance(form, FormInbound)
    return form.issue_token(NOW, "n")


def test_each_source_and_each_secret_signs_otherwise() -> None:
    tokens = {token_of(source, key) for source in ("one", "two") for key in ("a", "b")}
    assert len(tokens) == 4
    assert token_of("one", "a") == token_of("one", "a")


def test_other_sources_stay_as_they_are_and_no_setting_holds_the_secret() -> None:
    made = with_form_keys(Configuration("v", sources=SOURCES), "a-secret-key").sources
    assert made["stripe"] is SOURCES["stripe"]
    assert made["one"].settings["fields"] == SETTINGS["fields"]
    assert b"a-secret-key" not in made["one"].settings["token_key"]
    assert "token_key" not in repr(made["one"])
