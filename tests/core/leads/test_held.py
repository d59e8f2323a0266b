"""Held leads: stored without any effect, released once as if new, or discarded for good."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from adapters.contract.fields import rfc3339
from hub.core.errors import NotFound, Refused
from hub.core.events.projections import project_some
from hub.core.ids import new_id
from hub.core.inbound.ingest import ingest
from hub.core.leads.held import discard, hold, list_held, release, sent_by
from hub.core.models import AuditEntry, Contact, StoredEvent
from hub.gateways.database.engine import open_database
from tests.core.making import (
    NOW,
    Town,
    attempts_of,
    deliveries_of,
    events_of,
    lease_of,
    request,
    requests_of,
    route,
)
from tests.listing import event_rows
from tests.receiving import prepare
from tests.test_migrations import explain, said_to

LATER = NOW + timedelta(hours=1)
JANE = {"id": "e1", "data": {"email": "jane@example.com", "name": "Jane"}}


def keep(connection, town: Town, *events: dict[str, Any], reason: str = "honeypot: x") -> UUID:
    """Ingest a request that is held; return its first event's id."""
    town.taken += 1
    received = request(*(events or (JANE,)), at=NOW + timedelta(seconds=town.taken))
    prepared = prepare(town, received, "provider")
    ingested = ingest(connection, hold(prepared, reason))
    return ingested.new_event_ids[0]


def let_go(connection, town: Town, event_id: UUID, **options: Any) -> Any:
    return release(connection, town, event_id, actor="dana", now=LATER, **options)


def audited(connection) -> list[tuple[Any, ...]]:
    rows = connection.execute(select(AuditEntry.__table__).order_by(AuditEntry.id))
    return [(row.actor, row.action, row.subject, row.reason, row.detail) for row in rows]


def contacts(connection) -> list[Any]:
    return list(connection.execute(select(Contact.email)).scalars())


def test_what_is_held_is_stored_with_its_reason_and_nothing_follows(database, town) -> None:
    with database.write() as connection:
        keep(connection, town)
        project_some(connection, town, most=9, now=NOW)
        [event] = events_of(connection)
        assert (event.state, event.held_reason) == ("held", "honeypot: x")
        assert deliveries_of(connection) == []
        assert contacts(connection) == []
        [kept] = requests_of(connection)
        assert (kept.state, kept.body is not None) == ("accepted", True)


def test_what_is_not_held_has_no_reason_and_what_is_known_of_its_sender(database, town) -> None:
    with database.write() as connection:
        prepared = prepare(town, request(JANE), "provider")
        ingest(connection, sent_by(prepared, "aa" * 16))
        [event] = events_of(connection)
        assert (event.state, event.held_reason, event.sender) == ("matched", None, "aa" * 16)
        assert len(deliveries_of(connection)) == 1


def test_what_cannot_be_read_is_not_held(town) -> None:
    prepared = prepare(town, request(body=b"torn"), "provider")
    assert hold(prepared, "x") is prepared


def test_what_is_held_keeps_its_key(database, town) -> None:
    """A second submission of a held lead is a duplicate, not a lead that slips through."""
    with database.write() as connection:
        keep(connection, town)
        assert not town.take_in(connection, JANE).new_event_ids
        [event] = events_of(connection)
        assert (event.state, event.duplicates) == ("held", 1)
        assert deliveries_of(connection) == []


def test_a_released_one_is_matched_with_todays_routes_and_due_at_once(database, town) -> None:
    with database.write() as connection:
        event_id = keep(connection, town)
        town.routes = [route("new", when="data.email"), route("other", when="data.nothing")]
        released = let_go(connection, town, event_id, reason="I know her")
        assert (released.state, released.deliveries) == ("matched", 1)
        [delivery] = deliveries_of(connection)
        assert (delivery.route, delivery.state) == ("new", "pending")
        [event] = events_of(connection)
        assert (event.state, event.held_reason) == ("matched", "honeypot: x")
        assert len(town.claim(connection, lease_of(connection))) == 1
        assert len(attempts_of(connection)) == 1


def test_a_released_one_that_no_route_wants_is_unmatched(database, town) -> None:
    with database.write() as connection:
        event_id = keep(connection, town)
        town.routes = []
        assert let_go(connection, town, event_id).state == "unmatched"


def test_routes_see_the_senders_own_object_of_a_released_one(database, town) -> None:
    with database.write() as connection:
        event_id = keep(connection, town)
        town.routes = [route(when="data.native.id == 'e1'")]
        assert let_go(connection, town, event_id).deliveries == 1


def test_a_contact_is_made_out_of_a_released_one_not_before(database, town) -> None:
    with database.write() as connection:
        event_id = keep(connection, town)
        assert project_some(connection, town, most=9, now=NOW) == 0
        let_go(connection, town, event_id)
        assert project_some(connection, town, most=9, now=NOW) == 1
        assert contacts(connection) == ["jane@example.com"]


def test_a_discarded_one_stays_and_nothing_follows(database, town) -> None:
    with database.write() as connection:
        event_id = keep(connection, town)
        discard(connection, event_id, actor="dana", now=LATER, reason="spam")
        [event] = events_of(connection)
        assert event.state == "discarded"
        assert project_some(connection, town, most=9, now=NOW) == 0
        assert (deliveries_of(connection), contacts(connection)) == ([], [])
        assert list_held(connection, limit=9) == []
        [row] = event_rows(connection, state="discarded")
        assert row["id"] == str(event_id)


def test_both_are_audited(database, town) -> None:
    with database.write() as connection:
        first = keep(connection, town)
        second = keep(connection, town, JANE | {"id": "e2"}, reason="links: 9")
        let_go(connection, town, first, reason="I know her")
        discard(connection, second, actor="lee", now=LATER, reason="spam")
        assert sorted(audited(connection), key=str) == [
            ("dana", "event.release", f"event {first}", "I know her", {"held for": "honeypot: x"}),
            ("lee", "event.discard", f"event {second}", "spam", {"held for": "links: 9"}),
        ]


def test_only_what_is_held_is_released_or_discarded(database, town) -> None:
    with database.write() as connection:
        [taken] = town.take_in(connection, JANE).new_event_ids
        gone = keep(connection, town, JANE | {"id": "e2"})
        discard(connection, gone, actor="dana", now=LATER, reason="spam")
        for event_id, state in ((taken, "matched"), (gone, "discarded")):
            with pytest.raises(Refused, match=f"is not held: it is {state}"):
                let_go(connection, town, event_id)
            with pytest.raises(Refused, match=f"is not held: it is {state}"):
                discard(connection, event_id, actor="dana", now=LATER, reason="spam")
        with pytest.raises(NotFound, match="there is no event"):
            let_go(connection, town, new_id(NOW))
        assert len(deliveries_of(connection)) == 1


@pytest.mark.parametrize("reason", ["", " \n"])
def test_nothing_is_discarded_without_a_reason(database, town, reason: str) -> None:
    with database.write() as connection:
        event_id = keep(connection, town)
        with pytest.raises(Refused, match="needs a reason"):
            discard(connection, event_id, actor="dana", now=LATER, reason=reason)
        assert events_of(connection)[0].state == "held"


def test_released_by_several_at_once_it_runs_once(database_url, town) -> None:
    database = open_database(database_url, pool_size=8)
    with database.write() as connection:
        event_id = keep(connection, town)

    def one(_: int) -> str:
        try:
            with database.write() as connection:
                return str(let_go(connection, town, event_id).state)
        except Refused as refused:
            return str(refused)

    with ThreadPoolExecutor(8) as pool:
        ended = list(pool.map(one, range(8)))
    with database.read() as connection:
        assert len(deliveries_of(connection)) == 1
        assert len(audited(connection)) == 1
    database.engine.dispose()
    assert sorted(ended)[-1] == "matched"
    assert sum("is not held: it is matched" in end for end in ended) == 7


def test_the_list_is_paged_newest_first_and_holds_nothing_else(database, town) -> None:
    with database.write() as connection:
        ids = [str(keep(connection, town, JANE | {"id": f"e{n}"})) for n in range(3)]
        town.take_in(connection, JANE | {"id": "e9"})
        first = list_held(connection, limit=2)
        assert [str(row.id) for row in first] == [ids[2], ids[1]]
        [last] = list_held(connection, limit=2, before=first[-1].id)
    assert (str(last.id), last.source, last.type) == (ids[0], "provider", "lead.submitted")
    assert (rfc3339(last.received_at), last.held_reason) == (
        "2026-11-21T12:00:01.123456Z",
        "honeypot: x",
    )
    assert last.data["name"] == JANE["data"]["name"]


def test_the_planner_lists_what_is_held_by_its_index(database) -> None:
    with database.write() as connection, said_to(connection) as said:  # `explain` sets for it alone
        list_held(connection, limit=9, before=new_id(NOW))
        plan = explain(connection, *said[-1])
    assert "ix_events_held" in plan


def test_a_form_that_is_not_in_the_file_any_more_still_lets_its_leads_go(database, town) -> None:
    def nobody(_: str) -> Any:
        raise LookupError

    with database.write() as connection:
        event_id = keep(connection, town)
        town.inbound = nobody  # type: ignore[method-assign]
        assert let_go(connection, town, event_id).deliveries == 1
        assert connection.scalar(select(StoredEvent.state)) == "matched"
