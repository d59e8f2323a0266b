"""The tables of providers are what the registry has."""

import pytest

from adapters import registry
from tests.docs import providers

TOLD = f"it is out of date: run `{providers.COMMAND}`"


def test_the_page_of_providers_is_up_to_date() -> None:
    assert providers.PAGE.read_text("utf-8") == providers.page(), TOLD


def test_the_table_of_the_readme_is_up_to_date() -> None:
    text = providers.README.read_text("utf-8")
    assert text.count(providers.START) == text.count(providers.END) == 1
    assert text == providers.readme(text), TOLD


def test_a_table_that_lacks_a_provider_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    text = providers.README.read_text("utf-8")
    more = registry.OUTBOUND | {"new": registry.OUTBOUND["http"]}
    monkeypatch.setattr(registry, "OUTBOUND", more)
    assert "| `new` |  | `post` `patch` `put` |" in providers.readme(text)
    assert providers.readme(text) != text


def test_every_type_and_action_stands_on_the_page() -> None:
    page = providers.page()
    for name in registry.INBOUND:
        kind = registry.inbound(name)
        named = () if providers.takes_our_names(kind) else kind.native_types
        for native_type in (*named, *kind.ignored_types):
            assert f"| `{native_type}` |" in providers.section(name)
    for name in registry.OUTBOUND:
        for action, described in registry.outbound(name).actions.items():
            row = f"| `{action}` |"
            assert (row in providers.section(name)) != described.internal
    assert page.count("\n## ") == len(registry.INBOUND.keys() | registry.OUTBOUND.keys())
