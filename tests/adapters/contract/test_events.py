"""The recorded webhooks are verified and become the events that their folders expect."""

import copy
from typing import Any

from adapters.contract.form_inbound import UNSIGNED
from adapters.contract.strict_json import storable
from tests.adapters.contract.checking import as_expected, check_event
from tests.adapters.contract.recorded import Fixture, every_body, every_fixture


@every_fixture
def test_the_events_are_the_expected_ones(fixture: Fixture) -> None:
    request, adapter = fixture.signed(), fixture.adapter()
    label = adapter.verify(request)
    assert label
    assert (label == UNSIGNED) == adapter.takes_forms
    assert not any(secret in label for secret in secrets(fixture))
    events = adapter.parse(request)
    assert [as_expected(event) for event in events] == fixture.expected
    for event in events:
        check_event(fixture.provider, event)
        assert "native" in event.data
        assert storable(event.data)[1] is None


def secrets(fixture: Fixture) -> list[str]:
    held: list[Any] = [fixture.about["settings"].get(key) for key in fixture.adapter().secret_keys]
    texts = []
    while held:
        value = held.pop()
        if isinstance(value, str):
            texts.append(value)
        elif value:
            held += value.values() if isinstance(value, dict) else value
    return texts


@every_body
def test_the_provider_hears_a_2xx(fixture: Fixture) -> None:
    adapter = fixture.adapter()
    for events in (adapter.parse(fixture.signed()), []):
        assert 200 <= adapter.reply(events).status < 300


@every_body
def test_an_ordinary_webhook_is_no_handshake(fixture: Fixture) -> None:
    assert fixture.adapter().handshake(fixture.signed()) is None


@every_body
def test_the_same_request_gives_the_same_events_and_stays_as_it_was(fixture: Fixture) -> None:
    request, adapter = fixture.signed(), fixture.adapter()
    before, other = copy.deepcopy(request), copy.deepcopy(request)
    adapter.verify(request)
    events = adapter.parse(request)
    adapter.reply(events)
    assert request == before
    assert events == adapter.parse(request) == fixture.adapter().parse(other)
