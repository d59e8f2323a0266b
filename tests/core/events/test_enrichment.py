"""Enrichment of incomplete events: fetched once, completed once, and matched only then."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update

from adapters import Event
from hub.core.delivery.record import abandon, orphans, record
from hub.core.events.enrichment import MAX_NATIVE_CHARACTERS, FetchCursor, schedule_fetches
from hub.core.models import Delivery, StoredEvent, StoredRequest
from hub.core.replays.replay import Plan, preview_deliveries, replay_deliveries
from tests.core.fetching import FETCHING, NATURAL, THIN, FetchingTown, ThinProvider
from tests.core.making import (
    NOW,
    attempts_of,
    deliveries_of,
    end_lease,
    events_of,
    lease_of,
    make_due,
    route,
)

JANE = {"id": "501", "data": {"email": "jane@example.com"}}
TO_JANE = {"email": "{{ data.email }}"}


@pytest.fixture
def town() -> FetchingTown:
    return FetchingTown(routes=[route("a", with_=TO_JANE), route("b", when="data.email")])


@pytest.fixture
def connection(database, town):
    with database.write() as connection:
        yield connection


def take_in(connection, town, id: str = "e1", **changes: Any) -> None:
    town.take_in(connection, {"id": id} | THIN | changes)


def states(connection) -> dict[str, str]:
    return {one.route: one.state for one in deliveries_of(connection)}


def sweep(connection, town, most: int = 10, round_: FetchCursor | None = None) -> int:
    return schedule_fetches(connection, town, most=most, now=NOW, round_=round_)


def test_an_incomplete_event_takes_the_hub_s_own_route_alone(connection, town) -> None:
    take_in(connection, town)
    [event], [delivery] = events_of(connection), deliveries_of(connection)
    assert (event.state, event.folded) == ("incomplete", True)
    assert (delivery.route, delivery.destination, delivery.action, delivery.state) == (
        FETCHING, "crm", "fetch", "pending",
    )  # fmt: skip
    _, [claimed] = town.claim_fetch(connection)
    assert claimed.parameters == {"id": "501"}


def test_what_was_fetched_completes_the_event_and_the_routes_are_matched(connection, town) -> None:
    take_in(connection, town)
    assert town.fetch(connection, JANE | {"type": "lead.submitted"}) == 2
    [event] = events_of(connection)
    assert (event.state, event.type, event.data_error) == ("matched", "lead.submitted", None)
    assert event.data["email"] == "jane@example.com"
    assert event.data["native"]["told"]["id"] == "501"
    assert not event.folded, "a contact is to be made of it"
    assert states(connection) == {FETCHING: "succeeded", "a": "pending", "b": "pending"}


def test_a_type_that_no_route_takes_is_unmatched_once_it_is_known(connection, town) -> None:
    take_in(connection, town)
    assert town.fetch(connection, {"id": "501", "data": {}, "type": "deal.created"}) == 0
    [event] = events_of(connection)
    assert (event.state, event.type, event.folded) == ("unmatched", "deal.created", True)


def test_completing_twice_creates_nothing_twice(connection, town) -> None:
    take_in(connection, town)
    lease, [claimed] = town.claim_fetch(connection)
    assert town.end(connection, lease, claimed, JANE) == 2
    assert town.end(connection, lease, claimed, JANE) == 0
    connection.execute(update(StoredEvent).values(state="incomplete"))
    town.end(connection, lease, claimed, JANE)  # as after a crash that cannot happen
    assert len(deliveries_of(connection)) == 3
    assert len({one.route for one in deliveries_of(connection)}) == 3


def test_a_fetch_that_ends_after_its_lane_was_lost_still_completes_once(connection, town) -> None:
    take_in(connection, town)
    slow, [first] = town.claim_fetch(connection)
    end_lease(connection, "crm")
    quick = lease_of(connection, "crm", "another")
    record(connection, [abandon(one, NATURAL, chance=0) for one in orphans(connection, quick)])
    make_due(connection)
    end_lease(connection, "crm")
    quick, [second] = town.claim_fetch(connection)
    assert town.end(connection, quick, second, JANE) == 2
    assert town.end(connection, slow, first, JANE | {"data": {"email": "old@example.com"}}) == 0
    assert events_of(connection)[0].data["email"] == "jane@example.com"


@pytest.mark.parametrize(
    ("found", "why"),
    [
        ({"id": "502", "data": {}}, "cannot be read: id is not the one that was asked for"),
        ({"id": "501"}, "cannot be read (KeyError)"),
        ({"id": "501", "data": 7}, "cannot be read (TypeError)"),
    ],
)
def test_what_cannot_be_read_leaves_it_incomplete_with_the_reason(
    found, why, connection, town
) -> None:
    take_in(connection, town, "e1")
    take_in(connection, town, "e2")
    lease, claimed = town.claim_fetch(connection)
    assert town.end(connection, lease, claimed[0], found) == 0
    assert town.end(connection, lease, claimed[1], JANE) == 2, "the lane goes on"
    first, second = events_of(connection)
    assert (first.state, second.state) == ("incomplete", "matched")
    assert why in first.data_error
    assert sweep(connection, town) == 0, "it is not fetched over and over"


def test_a_request_that_was_not_kept_is_a_reason(connection, town) -> None:
    take_in(connection, town)
    lease, [claimed] = town.claim_fetch(connection)
    connection.execute(update(StoredRequest).values(body=None))
    assert town.end(connection, lease, claimed, JANE) == 0
    assert "its request was not kept" in events_of(connection)[0].data_error


def test_what_no_database_holds_is_mended_and_named(connection, town) -> None:
    take_in(connection, town)
    found = {"id": "501", "data": {"email": "jane@example.com", "name": "J\0ane \ud800"}}
    assert town.fetch(connection, found) == 2
    [event] = events_of(connection)
    assert event.data["name"] == "J\ufffdane \ufffd"
    assert "name" in event.data_error


def test_a_native_object_that_is_too_long_is_not_kept_beside_the_data(connection, town) -> None:
    take_in(connection, town)
    long = {"id": "501", "data": {"email": "jane@example.com"}, "x": "x" * MAX_NATIVE_CHARACTERS}
    assert town.fetch(connection, long) == 2
    assert events_of(connection)[0].data == {"email": "jane@example.com"}


def test_a_route_s_delay_counts_from_the_completion(connection) -> None:
    town = FetchingTown(routes=[route("later", delay_s=600)])
    take_in(connection, town)
    assert town.fetch(connection, JANE) == 1
    assert states(connection)["later"] == "waiting"
    [later] = [one for one in deliveries_of(connection) if one.route == "later"]
    assert later.next_attempt_at - later.created_at == timedelta(seconds=600)


def test_without_an_account_it_waits_and_is_fetched_once_when_there_is_one(connection) -> None:
    before, after = FetchingTown(account=None), FetchingTown()
    take_in(connection, before, "e1")
    take_in(connection, before, "e2")
    before.take_in(connection, {"id": "whole"})
    assert sweep(connection, before) == 0
    assert states(connection) == {"all": "pending"}
    assert sweep(connection, after, most=1) == 1
    assert sweep(connection, after) == 1
    assert sweep(connection, after) == 0
    made = [one for one in deliveries_of(connection) if one.route == FETCHING]
    assert len({one.event_id for one in made}) == len(made) == 2
    assert {(one.destination, one.state) for one in made} == {("crm", "pending")}


def test_one_whose_bytes_are_gone_fails_and_keeps_no_other_back(connection) -> None:
    before, after = FetchingTown(account=None), FetchingTown()
    take_in(connection, before, "gone")
    connection.execute(update(StoredRequest).values(body=None))
    take_in(connection, before, "there")
    round_ = FetchCursor()
    assert sweep(connection, after, 1, round_) == 1
    assert sweep(connection, after, 1, round_) == 1
    _, claimed = after.claim_fetch(connection)
    assert [one.parameters for one in claimed] == [{"id": "501"}]
    [failed] = [one for one in deliveries_of(connection) if one.state == "failed"]
    assert "its request was not kept" in failed.error
    assert sweep(connection, after) == 0


def test_a_sweep_looks_at_so_many_and_goes_round_all_of_them(connection, town) -> None:
    """Events that stay incomplete for ever are not all examined in every sweep."""
    for n in range(4):
        take_in(connection, town, f"e{n}")
    last = take_in_without_fetch(connection, town)
    round_ = FetchCursor()
    made = [sweep(connection, town, 2, round_) for _ in range(3)]
    assert made == [0, 0, 1]
    assert round_.after is None
    assert last in {one.event_id for one in deliveries_of(connection)}
    assert [sweep(connection, town, 2, round_) for _ in range(3)] == [0, 0, 0]


def take_in_without_fetch(connection, town) -> Any:
    """Ingest the newest event before the account is configured; return its id."""
    before = FetchingTown(account=None, taken=town.taken)
    take_in(connection, before, "late")
    return connection.execute(
        select(StoredEvent.id).where(StoredEvent.external_id == "late")
    ).scalar_one()


@pytest.mark.parametrize("changes", [{"sandbox": True}, {"enabled": False}, {"account": "gone"}])
def test_an_account_that_calls_nobody_fetches_nothing(changes, connection) -> None:
    town = FetchingTown(**changes)
    take_in(connection, town)
    assert deliveries_of(connection) == []
    assert sweep(connection, town) == 0
    assert events_of(connection)[0].state == "incomplete"


def test_a_source_s_sweep_leaves_other_sources_alone(connection, town) -> None:
    take_in(connection, FetchingTown(account=None))
    connection.execute(update(StoredEvent).values(source="another"))
    assert sweep(connection, town) == 0


def test_an_echo_matches_nothing_and_is_kept(connection, town) -> None:
    town.take_in(connection, {"id": "e1", "echo": True, "data": {"email": "jane@example.com"}})
    [event] = events_of(connection)
    assert (event.state, event.data["email"]) == ("unmatched", "jane@example.com")
    assert deliveries_of(connection) == []


def test_a_fetch_that_failed_can_be_replayed(connection, town) -> None:
    take_in(connection, town)
    town.fetch(connection, None)
    [planned] = preview_deliveries(connection, town, {"route": FETCHING})
    assert planned.plan is Plan.ANEW
    assert replay_deliveries(connection, town, [planned], actor="test", now=NOW) == 1
    end_lease(connection, "crm")
    assert town.fetch(connection, JANE) == 2
    assert [one.key.partition(".")[2] for one in attempts_of(connection)] == ["", "1"]
    assert events_of(connection)[0].state == "matched"


def test_a_fetch_that_could_not_be_read_can_be_replayed_after_a_fix(connection, town) -> None:
    take_in(connection, town)
    town.fetch(connection, {"id": "501"})
    [failed] = [one for one in deliveries_of(connection) if one.route == FETCHING]
    assert (failed.state, "cannot be read" in failed.error) == ("failed", True)
    planned = preview_deliveries(connection, town, {"route": FETCHING})
    assert [one.plan for one in planned] == [Plan.ANEW]
    replay_deliveries(connection, town, planned, actor="test", now=NOW)
    end_lease(connection, "crm")
    assert town.fetch(connection, JANE) == 2
    assert events_of(connection)[0].data_error is None


def test_replaying_a_fetch_of_a_complete_event_changes_nothing(connection, town) -> None:
    take_in(connection, town)
    town.fetch(connection, JANE)
    planned = preview_deliveries(connection, town, {"route": FETCHING}, again=True)
    replay_deliveries(connection, town, planned, actor="test", now=NOW, reason="once more")
    end_lease(connection, "crm")
    assert town.fetch(connection, JANE | {"data": {"email": "other@example.com"}}) == 0
    assert connection.scalar(select(func.count()).select_from(Delivery)) == 3
    assert events_of(connection)[0].data["email"] == "jane@example.com"


def test_a_duplicate_of_an_incomplete_event_fetches_nothing_more(connection, town) -> None:
    take_in(connection, town)
    take_in(connection, town)
    assert len(deliveries_of(connection)) == 1
    assert events_of(connection)[0].duplicates == 1


def test_an_adapter_that_leaves_it_incomplete_does_not_make_it_matched(connection) -> None:
    class Lazy(ThinProvider):
        def complete(self, event: Event, found: object) -> Event:
            return event

    town = FetchingTown(provider=Lazy())
    take_in(connection, town)
    assert town.fetch(connection, JANE) == 0
    [event] = events_of(connection)
    assert event.state == "incomplete"
    assert "still says too little" in event.data_error
