"""The samples of `hub send`: files that hold against the suite, and what is made of them."""

import importlib
from datetime import datetime, timedelta
from typing import Any

import pytest

from adapters import registry
from adapters.contract.errors import NotVerified
from adapters.contract.event import Event
from tests.adapters.contract.checking import check_event
from tests.adapters.contract.recorded import (
    RECEIVED_AT,
    SampleFile,
    about,
    adapter,
    every_provider,
    every_sample,
    request,
    sample_files,
)


@every_provider
def test_each_sample_is_a_file_or_the_module_says_why_there_are_none(provider: str) -> None:
    found = [sample.native_type for sample in sample_files(provider)]
    if found:
        assert sorted(found) == sorted(adapter(provider).sample_types())
    else:
        module = importlib.import_module(registry.inbound(provider).__module__)
        assert "**Samples**: " in (module.__doc__ or "")


@every_sample
def test_a_file_as_it_stands_is_an_event_of_its_type(fixture: SampleFile) -> None:
    request, ours = fixture.signed(), fixture.adapter()
    assert ours.verify(request)
    (event,) = ours.parse(request)
    check_event(fixture.provider, event)
    check_type(fixture.provider, event, fixture.native_type)
    assert event.occurred_at == RECEIVED_AT
    made = sampled(fixture.provider, fixture.native_type, "sample_1", live=event.live)
    assert shape_of(made.data) == shape_of(event.data)
    assert made.external_id != event.external_id or "sample_1" in event.external_id


@every_provider
def test_samples_verify_and_parse_as_what_they_claim_to_be(provider: str) -> None:
    ours = adapter(provider)
    for native_type in ours.sample_types():
        for live in (True, False):
            event = sampled(provider, native_type, "sample_1", live=live)
            assert event == sampled(provider, native_type, "sample_1", live=live)
            check_event(provider, event)
            check_type(provider, event, native_type)
            assert event.occurred_at == RECEIVED_AT
            assert event.live == live or not about(provider).get("test_mode", True)
            other = sampled(provider, native_type, "sample_2", live=live)
            assert other.external_id != event.external_id
            assert other.fact_key is None or other.fact_key != event.fact_key
    with pytest.raises(LookupError, match=ours.sample_types()[0]):
        ours.sample("no.such.type", "sample_1", RECEIVED_AT, live=True, url=about(provider)["url"])


@every_provider
def test_samples_of_another_time_tell_of_that_time(provider: str) -> None:
    for native_type in adapter(provider).sample_types():
        for by in (timedelta(days=-800), timedelta(days=800, microseconds=123_456)):
            at = RECEIVED_AT + by
            event = sampled(provider, native_type, "sample_1", live=True, at=at)
            assert at - timedelta(seconds=1) < event.occurred_at <= at
            check_event(provider, event)


def check_type(provider: str, event: Event, native_type: str) -> None:
    types = registry.inbound(provider).native_types
    assert event.native_type == native_type
    assert event.type == types.get(native_type, f"{provider}.{native_type}")


def shape_of(value: Any) -> Any:
    """Return data with the kind of each value in its place."""
    if isinstance(value, dict):
        return {name: shape_of(item) for name, item in value.items()}
    if isinstance(value, list):
        return [shape_of(item) for item in value]
    return type(value)


def sampled(
    provider: str, native_type: str, external_id: str, *, live: bool, at: datetime = RECEIVED_AT
) -> Event:
    """Return the one event of a sample that another secret does not verify."""
    url, ours = about(provider)["url"], adapter(provider)
    sample = ours.sample(native_type, external_id, at, live=live, url=url)
    posted = request(about(provider), sample.headers, sample.body, at)
    ours.verify(posted)
    if "wrong_settings" in about(provider):
        with pytest.raises(NotVerified):
            adapter(provider, "wrong_settings").verify(posted)
    (event,) = ours.parse(posted)
    return event
