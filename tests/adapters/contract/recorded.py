"""The recorded webhooks of all providers, as `tests/fixtures/README.md` lays them out."""

import copy
import importlib.util
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from adapters import registry
from adapters.contract.inbound import Inbound
from adapters.contract.request import InboundRequest

FIXTURES = Path(__file__).parents[2] / "fixtures"
RECEIVED_AT = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
KINDS = ("json", "form", "multipart")
EXPECTED = ".expected.json"


@dataclass(frozen=True)
class Fixture:
    """One recorded body beside what its folder says about the provider."""

    provider: str
    path: Path

    @property
    def name(self) -> str:
        return self.path.name.removesuffix(f".{self.kind}")

    @property
    def kind(self) -> str:
        return self.path.suffix.removeprefix(".")

    @property
    def body(self) -> bytes:
        return self.path.read_bytes()

    @property
    def about(self) -> dict[str, Any]:
        """What `fixture.json` says, and over it what `<name>.request.json` does."""
        own = self.path.with_name(f"{self.name}.request.json")
        return about(self.provider) | (json.loads(own.read_text("utf-8")) if own.exists() else {})

    @property
    def expected(self) -> list[dict[str, Any]]:
        return json.loads(self.path.with_name(self.name + EXPECTED).read_text("utf-8"))

    def adapter(self, settings_key: str = "settings") -> Inbound:
        return adapter(self.provider, settings_key)

    def signed(self, body: bytes | None = None, at: datetime = RECEIVED_AT) -> InboundRequest:
        """Return the recorded request, or the same with another body, as the provider signs it."""
        about = self.about
        body = self.body if body is None else body
        signing, headers = signer(self.provider), dict(about.get("headers", {}))
        if hasattr(signing, "address"):
            about["url"] = signing.address(about["url"], body, headers)
        headers = signing.sign(about["settings"], body, at, url=about["url"], headers=headers)
        return request(about, headers, body)


def adapter(provider: str, settings_key: str = "settings") -> Inbound:
    kind = registry.inbound(provider)
    return kind(kind.settings_schema().load(copy.deepcopy(about(provider)[settings_key])))


def request(about: Mapping[str, Any], headers: Mapping[str, str], body: bytes) -> InboundRequest:
    method, path_secret = about.get("method", "POST"), about.get("path_secret")
    return InboundRequest(method, about["url"], headers, body, RECEIVED_AT, path_secret)


@cache
def about(provider: str) -> dict[str, Any]:
    return json.loads((FIXTURES / provider / "fixture.json").read_text("utf-8"))


@cache
def signer(provider: str) -> ModuleType:
    path = FIXTURES / provider / "signer.py"
    spec = importlib.util.spec_from_file_location(f"{provider}_signer", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def recorded(provider: str) -> list[Fixture]:
    """Return the bodies of a provider that stand beside their expected events."""
    paths = sorted(
        path.with_name(path.name.removesuffix(EXPECTED) + f".{kind}")
        for path in (FIXTURES / provider).glob(f"*{EXPECTED}")
        for kind in KINDS
    )
    return [Fixture(provider, path) for path in paths if path.exists()]


PROVIDERS = sorted(path.parent.name for path in FIXTURES.glob("*/fixture.json"))
ALL = [fixture for provider in PROVIDERS for fixture in recorded(provider)]
SIGNED = [fixture for fixture in ALL if fixture.about.get("signed_body", True)]


def _of(fixtures: list[Fixture]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("fixture", fixtures, ids=lambda f: f"{f.provider}/{f.path.name}")


every_fixture = _of(ALL)
every_signed = _of(SIGNED)
every_provider = pytest.mark.parametrize("provider", PROVIDERS)


def first_of_each_kind(provider: str) -> list[Fixture]:
    """Return one body of each media type that the provider sends."""
    kinds = {fixture.kind: fixture for fixture in reversed(ALL) if fixture.provider == provider}
    return list(kinds.values())
