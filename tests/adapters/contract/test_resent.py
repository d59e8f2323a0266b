"""The same fact sent again by the provider: a duplicate, no second event and no conflict."""

from dataclasses import replace
from datetime import timedelta

import pytest

from adapters.contract.event import Event
from tests.adapters.contract.checking import check_event
from tests.adapters.contract.recorded import (
    AGAIN,
    FIXTURES,
    RECEIVED_AT,
    RESENT,
    Resent,
    about,
    every_provider,
    every_resent,
)

LATER = RECEIVED_AT + timedelta(minutes=10)


@every_provider
def test_a_provider_has_a_fact_that_is_sent_again_or_says_why_not(provider: str) -> None:
    found = [again for again in RESENT if again.provider == provider]
    reason = about(provider).get("again", "")
    assert bool(found) != bool(reason), "either a `.again` file or `again` in fixture.json"
    assert isinstance(reason, str)


@every_provider
def test_what_is_sent_again_stands_beside_its_first_time(provider: str) -> None:
    names = {path.name for path in (FIXTURES / provider).glob(f"*{AGAIN}.*")}
    beside = {again.path.name for again in RESENT if again.provider == provider}
    requests = {f"{again.name}.request.json" for again in RESENT if again.provider == provider}
    assert beside <= names <= beside | requests


@every_resent
def test_the_same_fact_sent_again_by_the_provider(fixture: Resent) -> None:
    request, adapter = fixture.signed(at=LATER, received_at=LATER), fixture.adapter()
    assert adapter.verify(request)
    again = adapter.parse(request)
    first = fixture.first.adapter().parse(fixture.first.signed())
    assert len(again) == len(first)
    for event in again:
        check_event(fixture.provider, event)
        check_duplicate(event, first)


def check_duplicate(again: Event, first: list[Event]) -> None:
    """Accept an event that the hub finds by its id or fact key, and that says the same."""
    same = [
        event
        for event in first
        if event.external_id == again.external_id
        or (event.fact_key is not None and event.fact_key == again.fact_key)
    ]
    assert same, "neither id nor fact key is that of the first time: it would be a second event"
    assert again.fingerprint in [event.fingerprint for event in same], (
        "the fingerprint is another one: it would be a conflict"
    )


def test_another_id_or_another_fingerprint_is_noticed() -> None:
    first = Event("acme.bought", "bought", "1", RECEIVED_AT, fact_key="k", fingerprint=b"f")
    check_duplicate(first, [first])
    check_duplicate(replace(first, external_id="2"), [first])
    check_duplicate(replace(first, fact_key=None), [first])
    for other in ({"external_id": "2", "fact_key": None}, {"fingerprint": b"g"}):
        with pytest.raises(AssertionError):
            check_duplicate(replace(first, **other), [first])
