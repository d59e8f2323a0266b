"""Every promise of the contract, held against every recorded webhook of every provider.

A provider joins by a folder in `tests/fixtures/` (see its README) and a line in the registry;
nothing here knows any provider by name.
"""

import copy
import importlib.util
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters import registry
from adapters.contract.errors import AdapterError, NotVerified, Unreadable
from adapters.contract.event import EVENT_TYPES, Event
from adapters.contract.inbound import Inbound
from adapters.contract.json import storable
from adapters.contract.request import InboundRequest

FIXTURES = Path(__file__).parent.parent / "fixtures"
RECEIVED_AT = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
CUTS = 400
FLIPS = 600
STRANGE: list[Any] = [
    None,
    True,
    0,
    -1,
    2**63,
    1.5,
    float("inf"),
    "",
    " x\u00e9",
    "\ud800\x00",
    "9" * 10_000,
    [],
    [[None]],
    {},
    {"id": 7, "data": [{"object": None}]},
]


@dataclass(frozen=True)
class Fixture:
    """One recorded body beside what its folder says about the provider."""

    provider: str
    path: Path

    @property
    def body(self) -> bytes:
        return self.path.read_bytes()

    @property
    def about(self) -> dict[str, Any]:
        return about(self.provider)

    @property
    def expected(self) -> list[dict[str, Any]]:
        return json.loads(self.path.with_suffix(".expected.json").read_text("utf-8"))

    def adapter(self, settings_key: str = "settings") -> Inbound:
        kind = registry.inbound(self.provider)
        return kind(kind.settings_schema().load(self.about[settings_key]))

    def signed(self, body: bytes, at: datetime = RECEIVED_AT) -> InboundRequest:
        headers = signer(self.provider).sign(self.about["settings"], body, at)
        return InboundRequest("POST", self.about["url"], headers, body, RECEIVED_AT)


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


PROVIDERS = sorted(path.parent.name for path in FIXTURES.glob("*/fixture.json"))
ALL = [
    Fixture(provider, path.with_name(path.name.replace(".expected.json", ".json")))
    for provider in PROVIDERS
    for path in sorted((FIXTURES / provider).glob("*.expected.json"))
]
SIGNED = [fixture for fixture in ALL if fixture.about["signed_body"]]
every_fixture = pytest.mark.parametrize("fixture", ALL, ids=lambda f: f"{f.provider}/{f.path.stem}")
every_signed = pytest.mark.parametrize(
    "fixture", SIGNED, ids=lambda f: f"{f.provider}/{f.path.stem}"
)
every_provider = pytest.mark.parametrize("provider", PROVIDERS)


def spread(length: int, at_most: int) -> range:
    """Return positions over the whole length: all of them where they are few."""
    return range(0, length, max(1, length // at_most))


def as_expected(event: Event) -> dict[str, Any]:
    return {
        "type": event.type,
        "native_type": event.native_type,
        "external_id": event.external_id,
        "occurred_at": event.occurred_at.isoformat().replace("+00:00", "Z"),
        "live": event.live,
        "incomplete": event.incomplete,
        "fact_key": event.fact_key,
        "data": {name: value for name, value in event.data.items() if name != "native"},
    }


def events_or_adapter_error(fixture: Fixture, adapter: Inbound, body: bytes) -> None:
    request = fixture.signed(body)
    adapter.verify(request)
    try:
        events = adapter.parse(request)
    except AdapterError:
        return
    assert events
    for event in events:
        check_event(fixture.provider, event)


def check_event(provider: str, event: Event) -> None:
    assert event.type in EVENT_TYPES or event.type == f"{provider}.{event.native_type}"
    assert event.occurred_at.utcoffset() == timedelta(0)
    assert 1 <= len(event.external_id) <= 255
    assert event.external_id.isascii()
    assert event.external_id.isprintable()
    assert isinstance(event.live, bool)
    assert event.fingerprint
    check_money(event)
    data, _reason = storable(event.data)
    text = json.dumps(data, allow_nan=False, ensure_ascii=False)
    assert "\\u0000" not in text.replace("\\\\", "")
    text.encode("utf-8")


def check_money(event: Event) -> None:
    assert None not in event.data.values()
    if "amount" in event.data:
        assert type(event.data["amount"]) is int
        assert event.data["amount"] >= 0
        assert len(event.data["currency"]) == 3


def test_there_are_fixtures_of_every_registered_provider() -> None:
    assert set(PROVIDERS) == set(registry.INBOUND)
    assert ALL


@every_provider
def test_a_provider_has_a_fixture_of_a_type_without_a_canonical_one(provider: str) -> None:
    kinds = {event["type"] for f in ALL if f.provider == provider for event in f.expected}
    assert any(kind.startswith(f"{provider}.") for kind in kinds)
    assert kinds & EVENT_TYPES


@every_provider
def test_a_provider_names_itself_and_explains_itself(provider: str) -> None:
    kind = registry.inbound(provider)
    module = importlib.import_module(kind.__module__)
    assert kind.name == provider
    for label in ("**Docs**", "**Signs**", "**Re-sends**", "**Answers**", "**Quirks**"):
        assert label in (module.__doc__ or "")


@every_provider
def test_native_types_are_canonical_and_ignored_ones_have_a_reason(provider: str) -> None:
    kind = registry.inbound(provider)
    assert set(kind.native_types.values()) <= EVENT_TYPES
    assert not set(kind.native_types) & set(kind.ignored_types)
    assert all(kind.ignored_types.values())


@every_provider
def test_samples_verify_and_parse_as_what_they_claim_to_be(provider: str) -> None:
    kind = registry.inbound(provider)
    adapter = kind(kind.settings_schema().load(about(provider)["settings"]))
    for native_type in adapter.sample_types():
        for live in (True, False):
            sample = adapter.sample(native_type, "sample_1", RECEIVED_AT, live=live)
            again = adapter.sample(native_type, "sample_1", RECEIVED_AT, live=live)
            assert sample == again
            url = about(provider)["url"]
            request = InboundRequest("POST", url, sample.headers, sample.body, RECEIVED_AT)
            adapter.verify(request)
            (event,) = adapter.parse(request)
            check_event(provider, event)
            assert event.native_type == native_type
            assert event.external_id.endswith("sample_1")
            assert (event.live, event.occurred_at) == (live, RECEIVED_AT)
            assert event.type == kind.native_types.get(native_type, f"{provider}.{native_type}")
    with pytest.raises(LookupError, match=adapter.sample_types()[0]):
        adapter.sample("no.such.type", "sample_1", RECEIVED_AT, live=True)


@every_fixture
def test_the_events_are_the_expected_ones(fixture: Fixture) -> None:
    request = fixture.signed(fixture.body)
    adapter = fixture.adapter()
    assert adapter.verify(request) == "secrets[0]"
    events = adapter.parse(request)
    assert [as_expected(event) for event in events] == fixture.expected
    for event in events:
        check_event(fixture.provider, event)
        assert storable(event.data)[1] is None
    assert 200 <= adapter.reply(events).status < 300


@every_fixture
def test_the_same_body_has_the_same_fingerprint(fixture: Fixture) -> None:
    request = fixture.signed(fixture.body)
    first, second = fixture.adapter().parse(request), fixture.adapter().parse(request)
    assert first == second


@every_signed
def test_any_changed_byte_is_refused(fixture: Fixture) -> None:
    adapter, request = fixture.adapter(), fixture.signed(fixture.body)
    for place in spread(len(request.body), FLIPS):
        body = bytearray(request.body)
        body[place] ^= 1
        with pytest.raises(NotVerified):
            adapter.verify(replace(request, body=bytes(body)))
    for body in (b"", request.body[:-1], request.body + b"\n"):
        with pytest.raises(NotVerified):
            adapter.verify(replace(request, body=body))


@every_signed
def test_a_wrong_secret_is_refused(fixture: Fixture) -> None:
    with pytest.raises(NotVerified):
        fixture.adapter("wrong_settings").verify(fixture.signed(fixture.body))


@every_signed
def test_too_old_and_too_new_are_refused_and_the_edges_are_not(fixture: Fixture) -> None:
    adapter = fixture.adapter()
    past, future = (timedelta(seconds=fixture.about[key]) for key in ("past_s", "future_s"))
    second = timedelta(seconds=1)
    for at in (RECEIVED_AT - past, RECEIVED_AT + future):
        adapter.verify(fixture.signed(fixture.body, at))
    for at in (RECEIVED_AT - past - second, RECEIVED_AT + future + second):
        with pytest.raises(NotVerified, match="clock"):
            adapter.verify(fixture.signed(fixture.body, at))


@every_provider
@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(data=st.data())
def test_strange_signature_headers_are_refused_quietly(provider: str, data: st.DataObject) -> None:
    fixture = next(f for f in SIGNED if f.provider == provider)
    name = fixture.about["signature_header"]
    request = fixture.signed(fixture.body)
    value = data.draw(st.one_of(st.none(), st.text(), mangled(request.headers[name])))
    if value == request.headers[name]:
        return
    headers = {key: text for key, text in request.headers.items() if key != name}
    if value is not None:
        headers[name] = value
    with pytest.raises(NotVerified):
        fixture.adapter().verify(replace(request, headers=headers))


@st.composite
def mangled(draw: st.DrawFn, header: str) -> str:
    """Draw the good header with one piece of it replaced by anything; its signature is hit."""
    half = len(header) // 2
    start = draw(st.integers(half, len(header) - 1))
    end = draw(st.integers(start + 1, len(header)))
    return header[:start] + draw(st.text(max_size=20)) + header[end:]


@every_fixture
def test_a_body_cut_anywhere_gives_events_or_an_adapter_error(fixture: Fixture) -> None:
    adapter = fixture.adapter()
    for place in spread(len(fixture.body), CUTS):
        events_or_adapter_error(fixture, adapter, fixture.body[:place])


@every_fixture
def test_every_value_may_be_strange_and_nothing_else_breaks(fixture: Fixture) -> None:
    adapter, tree = fixture.adapter(), json.loads(fixture.body)
    for variant, body in mutations(tree):
        try:
            events_or_adapter_error(fixture, adapter, body)
        except Exception as error:  # noqa: BLE001 (says which value broke it)
            pytest.fail(f"{variant}: {error!r}")


@every_provider
def test_what_is_no_event_at_all_is_unreadable(provider: str) -> None:
    fixture = next(f for f in ALL if f.provider == provider)
    for body in (b"", b"null", b"[]", b"7", b'"text"', b"\xff\xfe{}", b"[" * 100_000, b"{}"):
        with pytest.raises(Unreadable):
            fixture.adapter().parse(fixture.signed(body))


def mutations(tree: Any) -> Iterator[tuple[str, bytes]]:
    """Yield the body with each value in turn replaced by every strange one, or left out.

    Deep inside the native object only some of the strange ones are tried, in turn: nothing reads
    most of it, and the suite has to stay fast.
    """
    tree = copy.deepcopy(tree)
    for count, (path, parent, key) in enumerate(list(places(tree, ()))):
        original = parent[key]
        few = len(path) > 3
        for value in STRANGE[count % 5 :: 5] if few else STRANGE:
            parent[key] = value
            yield f"{path} = {value!r:.40}", dumped(tree)
        parent[key] = original
        if isinstance(parent, dict) and not few:
            del parent[key]
            yield f"{path} left out", dumped(tree)
            parent[key] = original


def dumped(tree: Any) -> bytes:
    # 1e400 is how JSON says a number that a float cannot hold.
    return json.dumps(tree).replace("Infinity", "1e400").encode("ascii")


def places(node: Any, path: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], Any, Any]]:
    pairs = node.items() if isinstance(node, dict) else enumerate(node)
    for key, value in list(pairs):
        yield (*path, key), node, key
        if isinstance(value, dict | list):
            yield from places(value, (*path, key))
