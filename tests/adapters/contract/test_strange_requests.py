"""Whatever stands in a request, what comes of it is good events or an AdapterError."""

from dataclasses import replace

import pytest

from adapters.contract.errors import NotVerified, Unreadable
from adapters.contract.inbound import Inbound
from adapters.contract.request import InboundRequest
from tests.adapters.contract.checking import check_event, events_or_adapter_error
from tests.adapters.contract.recorded import (
    Fixture,
    every_body,
    every_provider,
    first_of_each_kind,
)
from tests.adapters.contract.strange import (
    CONTENT_TYPES,
    GARBAGE,
    HEADERS,
    QUERIES,
    spread,
    variants,
)

CUTS = 300
NO_JSON = (b"", b"\xff\xfe{}", b"[" * 100_000, b'{"id": 1')


@every_body
def test_a_body_cut_anywhere_gives_events_or_an_adapter_error(fixture: Fixture) -> None:
    adapter, body = fixture.adapter(), fixture.body
    for place in spread(len(body), CUTS):
        events_or_adapter_error(fixture, adapter, body[:place])


@every_body
def test_every_value_may_be_strange_and_nothing_else_breaks(fixture: Fixture) -> None:
    adapter = fixture.adapter()
    for variant, body in variants(fixture.kind, fixture.body):
        try:
            events_or_adapter_error(fixture, adapter, body)
        except Exception as error:  # noqa: BLE001 - says which value broke it
            pytest.fail(f"{variant}: {error!r}")


@every_provider
def test_garbage_is_unreadable_or_gives_events(provider: str) -> None:
    for fixture in first_of_each_kind(provider):
        request, adapter = fixture.signed(), fixture.adapter()
        for body in GARBAGE:
            unreadable_or_events(provider, adapter, replace(request, body=body))
        if fixture.kind == "json":
            for body in NO_JSON:
                with pytest.raises(Unreadable):
                    adapter.parse(replace(request, body=body))


@every_provider
def test_any_header_may_be_strange_or_missing(provider: str) -> None:
    for fixture in first_of_each_kind(provider):
        request, adapter = fixture.signed(), fixture.adapter()
        for name in request.headers.keys() | {"content-type"}:
            others = {key: value for key, value in request.headers.items() if key != name}
            strange = (*HEADERS, *CONTENT_TYPES) if name == "content-type" else HEADERS
            for value in strange:
                headers = others if value is None else others | {name: value}
                refused_or_events(provider, adapter, replace(request, headers=headers))


@every_provider
def test_any_query_may_stand_in_the_address(provider: str) -> None:
    for fixture in first_of_each_kind(provider):
        request, adapter = fixture.signed(), fixture.adapter()
        for query in QUERIES:
            refused_or_events(provider, adapter, replace(request, url=request.url + query))


def refused_or_events(provider: str, adapter: Inbound, request: InboundRequest) -> None:
    """Accept that it is not verified; what it would have meant must give no error either."""
    try:
        adapter.handshake(request)
        adapter.verify(request)
    except NotVerified:
        pass
    unreadable_or_events(provider, adapter, request)


def unreadable_or_events(provider: str, adapter: Inbound, request: InboundRequest) -> None:
    try:
        events = adapter.parse(request)
    except Unreadable:
        return
    assert events
    for event in events:
        check_event(provider, event)
