"""Descriptions that each inbound adapter gives of itself."""

import importlib

from adapters import registry
from adapters.contract.event import EVENT_TYPES
from tests.adapters.contract.recorded import (
    AGAIN,
    ALL,
    EXPECTED,
    FIXTURES,
    KINDS,
    PROVIDERS,
    every_provider,
)

LABELS = ("**Docs**", "**Signs**", "**Re-sends**", "**Answers**", "**Quirks**")


def test_there_are_fixtures_of_every_registered_provider() -> None:
    assert set(PROVIDERS) == set(registry.INBOUND)
    assert {fixture.provider for fixture in ALL} == set(PROVIDERS)


def test_each_body_has_its_expected_events_and_they_have_their_body() -> None:
    kinds = tuple(f".{kind}" for kind in KINDS)
    for provider in PROVIDERS:
        names = [path.name for path in (FIXTURES / provider).iterdir()]
        bodies = [name.rpartition(".")[0] for name in names if name.endswith(kinds)]
        beside = (".expected", ".request", AGAIN)
        bodies = [name for name in bodies if not name.endswith(beside)]
        bodies.remove("fixture")
        expected = [name.removesuffix(EXPECTED) for name in names if name.endswith(EXPECTED)]
        assert sorted(bodies) == sorted(expected), provider


@every_provider
def test_a_provider_has_a_fixture_of_a_type_with_and_one_without_a_canonical_one(
    provider: str,
) -> None:
    kind = registry.inbound(provider)
    types = {event["type"] for f in ALL if f.provider == provider for event in f.expected}
    assert types & EVENT_TYPES or not kind.native_types
    # A form says one thing only: what people fill in.
    assert any(one.startswith(f"{provider}.") for one in types) or kind.takes_forms


@every_provider
def test_a_provider_names_itself_and_explains_itself(provider: str) -> None:
    kind = registry.inbound(provider)
    module = importlib.import_module(kind.__module__)
    assert kind.name == provider
    for label in LABELS:
        assert label in (module.__doc__ or "")


@every_provider
def test_native_types_are_canonical_and_ignored_ones_have_a_reason(provider: str) -> None:
    kind = registry.inbound(provider)
    assert set(kind.native_types.values()) <= EVENT_TYPES
    assert not set(kind.native_types) & set(kind.ignored_types)
    assert all(kind.ignored_types.values())


@every_provider
def test_an_account_to_fetch_from_is_an_adapter_that_can_fetch(provider: str) -> None:
    kind = registry.inbound(provider)
    if kind.account is not None:
        actions = registry.outbound(kind.account).actions
        incomplete = any(e["incomplete"] for f in ALL if f.provider == provider for e in f.expected)
        assert "fetch" in actions or not incomplete
