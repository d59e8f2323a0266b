"""The recorded webhooks of all providers, as `tests/fixtures/README.md` lays them out.

The samples that `hub send` posts (`adapters/<provider>/samples/`) are run over like them.
"""

import copy
import importlib
import importlib.util
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from adapters import registry
from adapters.contract.inbound import Inbound
from adapters.contract.request import InboundRequest
from tests.cases import try_each

FIXTURES = Path(__file__).parents[2] / "fixtures"
RECEIVED_AT = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
KINDS = ("json", "form", "multipart")
EXPECTED = ".expected.json"
AGAIN = ".again"


@dataclass(frozen=True)
class Fixture:
    """One recorded body beside what its folder says about the provider."""

    provider: str
    path: Path

    @property
    def name(self) -> str:
        return self.path.name.removesuffix(f".{self.kind}")

    @property
    def label(self) -> str:
        return f"{self.provider}/{self.path.name}"

    @property
    def kind(self) -> str:
        return self.path.suffix.removeprefix(".")

    @property
    def body(self) -> bytes:
        return self.path.read_bytes()

    @property
    def about(self) -> dict[str, Any]:
        """Return the fields of `fixture.json`, overridden by those of `<name>.request.json`."""
        return about(self.provider) | self._own_request

    @property
    def _own_request(self) -> dict[str, Any]:
        return own_request(self.path.with_name(f"{self.name}.request.json"))

    @property
    def expected(self) -> list[dict[str, Any]]:
        return json.loads(self.path.with_name(self.name + EXPECTED).read_text("utf-8"))

    def adapter(self, settings_key: str = "settings") -> Inbound:
        return adapter(self.provider, settings_key)

    def signed(
        self,
        body: bytes | None = None,
        at: datetime = RECEIVED_AT,
        *,
        received_at: datetime = RECEIVED_AT,
    ) -> InboundRequest:
        """Return the recorded request, or the same with another body, as the provider signs it."""
        about = self.about
        body = self.body if body is None else body
        signing, headers = signer(self.provider), dict(about.get("headers", {}))
        if hasattr(signing, "address"):
            about["url"] = signing.address(about["url"], body, headers)
        headers = signing.sign(about["settings"], body, at, url=about["url"], headers=headers)
        return request(about, headers, body, received_at)


@dataclass(frozen=True)
class Resent(Fixture):
    """The same fact sent again by the provider, beside the body of its first time."""

    first: Fixture

    @property
    def about(self) -> dict[str, Any]:
        """Facts of the first time, and over them those of `<name>.again.request.json`."""
        return self.first.about | self._own_request


@dataclass(frozen=True)
class SampleFile(Fixture):
    """A sample as its file has it: sent with the headers that the adapter gives to one."""

    folder: Path

    @property
    def native_type(self) -> str:
        return str(self.path.relative_to(self.folder)).removesuffix(f".{self.kind}")

    @property
    def label(self) -> str:
        return f"{self.provider}/samples/{self.native_type}.{self.kind}"

    @property
    def about(self) -> dict[str, Any]:
        """Facts of `fixture.json`, with the headers of the sample."""
        return about(self.provider) | {"headers": sample_headers(self.provider, self.native_type)}


def adapter(provider: str, settings_key: str = "settings") -> Inbound:
    kind = registry.inbound(provider)
    return kind(kind.settings_schema().load(copy.deepcopy(about(provider)[settings_key])))


@cache
def sample_headers(provider: str, native_type: str) -> dict[str, str]:
    url = about(provider)["url"]
    sample = adapter(provider).sample(native_type, "sample_1", RECEIVED_AT, live=True, url=url)
    return {name.lower(): text for name, text in sample.headers.items()}


def request(
    about: Mapping[str, Any], headers: Mapping[str, str], body: bytes, at: datetime = RECEIVED_AT
) -> InboundRequest:
    method, path_secret = about.get("method", "POST"), about.get("path_secret")
    return InboundRequest(method, about["url"], headers, body, at, path_secret)


@cache
def about(provider: str) -> dict[str, Any]:
    return json.loads((FIXTURES / provider / "fixture.json").read_text("utf-8"))


@cache
def own_request(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text("utf-8")) if path.exists() else {}


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


def resent(fixture: Fixture) -> Resent | None:
    """Return how the provider sends the same fact once more, if that is recorded."""
    path = fixture.path.with_name(f"{fixture.name}{AGAIN}.{fixture.kind}")
    return Resent(fixture.provider, path, fixture) if path.exists() else None


def sample_files(provider: str) -> list[SampleFile]:
    """Return the samples that a provider has as files; none where it makes them."""
    package = importlib.import_module(f"adapters.{provider}")
    folder = Path(package.__path__[0]) / "samples"
    found = sorted(path for path in folder.rglob("*") if path.suffix.removeprefix(".") in KINDS)
    return [SampleFile(provider, path, folder) for path in found]


PROVIDERS = sorted(path.parent.name for path in FIXTURES.glob("*/fixture.json"))
ALL = [fixture for provider in PROVIDERS for fixture in recorded(provider)]
SAMPLES = [sample for provider in PROVIDERS for sample in sample_files(provider)]
RESENT = [again for fixture in ALL if (again := resent(fixture))]
SIGNED = [fixture for fixture in ALL if fixture.about.get("signed_body", True)]
SIGNED += [sample for sample in SAMPLES if about(sample.provider).get("signed_body", True)]


def _of(fixtures: Sequence[Fixture]) -> Callable[[Callable[[Any], None]], Callable[..., None]]:
    """Return a decorator: one test for each provider, over its fixtures, by their labels."""
    held = {
        provider: [one for one in fixtures if one.provider == provider] for provider in PROVIDERS
    }

    def decorate(test: Callable[[Any], None]) -> Callable[..., None]:
        @pytest.mark.parametrize("provider", [provider for provider in PROVIDERS if held[provider]])
        def over_all(provider: str) -> None:
            try_each({one.label: partial(test, one) for one in held[provider]})

        over_all.__name__, over_all.__doc__ = test.__name__, test.__doc__
        return over_all

    return decorate


every_fixture = _of(ALL)
every_sample = _of(SAMPLES)
every_resent = _of(RESENT)
every_body = _of([*ALL, *SAMPLES])
every_signed = _of(SIGNED)
every_provider = pytest.mark.parametrize("provider", PROVIDERS)


def first_of_each_kind(provider: str) -> list[Fixture]:
    """Return one body of each media type that the provider sends."""
    kinds = {fixture.kind: fixture for fixture in reversed(ALL) if fixture.provider == provider}
    return list(kinds.values())
