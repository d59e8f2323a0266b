"""Projections of stored events: one that fails for ever or for now stops no other."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text, update
from sqlalchemy.exc import IntegrityError, OperationalError

from hub.core import contacts
from hub.core.contacts import Facts, fold_event, lock_contacts
from hub.core.events import projections
from hub.core.events.projections import project_some
from hub.core.models import Alert, Contact, StoredEvent
from hub.core.monitoring import alerts
from hub.core.queries.event_rows import EventFilter
from hub.core.queries.events import list_events
from hub.core.search.indexer import index_some
from hub.core.search.search import read_query
from hub.gateways.database.engine import open_database
from tests.core.delivery.doubting import DoubtfulTown, doubt_it
from tests.core.making import (
    NOW,
    deliveries_of,
    end_lease,
    events_of,
    lease_of,
    route,
    rows,
    until_somebody_waits,
)
from tests.running import until

WAITING = text("SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'advisory'")


class Deadlock(Exception):
    sqlstate = "40P01"


class Unkeepable(Exception):
    sqlstate = "22P05"


@pytest.fixture
def town() -> DoubtfulTown:
    return DoubtfulTown()


def sent(delivery_id, n: int = 1) -> dict:
    """Return a provider's status event of an attempt."""
    data = {"hub_attempt": f"{delivery_id}.{n}", "message_id": "SM1"}
    return {"id": "s1", "type": "sms.sent", "data": data}


def test_an_event_that_tells_of_ours_is_taken_to_its_delivery(database, town) -> None:
    with database.write() as connection:
        town.take_in(connection, {"id": "e1"})
        doubt_it(connection, town)
        [delivery] = deliveries_of(connection)
        town.take_in(connection, sent(delivery.id))
        connection.execute(update(StoredEvent).values(folded=False))
        assert project_some(connection, town, most=10, now=NOW) == 2
        [delivery] = deliveries_of(connection)
        assert (delivery.state, delivery.status) == ("succeeded", "sent")
        assert project_some(connection, town, most=10, now=NOW) == 0


@pytest.mark.parametrize(
    ("kind", "left"), [(Deadlock, ["e1"]), (Unkeepable, [])], ids=["busy", "a poison row"]
)
def test_trouble_with_one_event_is_its_own(database, town, monkeypatch, kind, left) -> None:
    def fail(connection, hub, *, data, **_) -> None:
        if data.get("email") == "e1@example.com":
            raise OperationalError("x", {}, kind())

    monkeypatch.setattr(projections, "apply_status_callback", fail)
    with database.write() as connection:
        emails = {name: {"email": f"{name}@example.com"} for name in ("e1", "e2", "e3")}
        town.take_in(connection, *({"id": n, "data": data} for n, data in emails.items()))
        project_some(connection, town, most=10, now=NOW)
        assert [row.external_id for row in events_of(connection) if not row.folded] == left


def test_a_database_that_is_gone_is_not_swallowed(database, town, monkeypatch) -> None:
    class Gone(Exception):
        sqlstate = "57P01"

    def fail(*_, **__) -> None:
        raise OperationalError("x", {}, Gone())

    monkeypatch.setattr(projections, "apply_status_callback", fail)
    with database.write() as connection:
        town.take_in(connection, {"id": "e1", "data": {"email": "e1@example.com"}})
        with pytest.raises(OperationalError):
            project_some(connection, town, most=10, now=NOW)


def test_templates_see_what_an_event_is_news_of(database, town) -> None:
    told = {"by": "{{ event.caused_by }}", "what": "{{ cause.route }} {{ cause.data.plan }}"}
    town.routes = [route(), route("news", on=("sms.sent",), with_={"body": told})]
    with database.write() as connection:
        town.take_in(connection, {"id": "e1", "data": {"plan": "gold"}})
        doubt_it(connection, town)
        [first] = deliveries_of(connection)
        news = sent(first.id)
        news["data"]["delivery_id"] = str(first.id)
        town.take_in(connection, news)
        end_lease(connection)
        [claimed] = town.claim(connection, lease_of(connection))
        assert claimed.parameters == {"body": {"by": str(first.id), "what": "all gold"}}
        assert len(rows(connection, StoredEvent)) == 2


def test_a_claim_that_folds_its_event_and_those_who_fold_do_not_wait_for_each_other(
    postgresql_url, town
) -> None:
    """The claim has decided something already, so it holds the lock and wants the event's row."""
    database = open_database(postgresql_url, pool_size=3)
    with database.write() as connection:
        town.take_in(connection, {"id": "e1", "data": {"email": "e1@example.com"}})
        [event] = events_of(connection)

    def fold_the_rest() -> int:
        with database.write() as connection:
            return project_some(connection, town, most=10, now=NOW)

    with ThreadPoolExecutor(1) as pool:
        with database.write() as claiming, database.read() as watching:
            lock_contacts(claiming)
            rest = pool.submit(fold_the_rest)
            until(lambda: watching.scalar(WAITING), 5, "the other to wait")
            facts = Facts(event.id, event.source, event.type, event.data)
            contact_id = fold_event(claiming, facts, now=NOW)
        assert rest.result() == 1
    with database.read() as connection:
        assert [row.contact_id for row in events_of(connection)] == [contact_id]
        assert len(rows(connection, Contact)) == 1
    database.engine.dispose()


def test_a_claim_that_waited_for_the_folding_of_its_event_folds_it_no_second_time(
    database, town
) -> None:
    """The event's data is older by then than the contact's row."""
    town.routes = [route(on=("customer.updated",), with_={"body": "{{ contact.name }}"})]
    with database.write() as connection:
        for name in ("Old", "New"):
            data = {"email": "jane@example.com", "name": name}
            town.take_in(connection, {"id": name, "type": "customer.updated", "data": data})

    def claim() -> list[dict]:
        with database.write() as connection:
            return [one.parameters for one in town.claim(connection, lease_of(connection))]

    with ThreadPoolExecutor(1) as pool:
        with database.write() as connection:
            project_some(connection, town, most=10, now=NOW)
            claiming = pool.submit(claim)
            until_somebody_waits(database, or_has_ended=claiming)
        assert claiming.result() == [{"body": "New"}, {"body": "New"}]
    with database.read() as connection:
        assert [row.name for row in rows(connection, Contact)] == ["New"]


def test_two_who_fold_what_is_left_over_do_not_wait_for_each_other(postgresql_url, town) -> None:
    database = open_database(postgresql_url, pool_size=2)
    with database.write() as connection:
        town.take_in(connection, {"id": "e1", "data": {"email": "e1@example.com"}})
    with database.write() as one, database.write() as other:
        assert project_some(one, town, most=10, now=NOW) == 1
        assert project_some(other, town, most=10, now=NOW) == 0
    with database.write() as connection:
        assert project_some(connection, town, most=10, now=NOW) == 0
    database.engine.dispose()


def test_what_is_folded_is_found_by_search_at_once(database, town) -> None:
    with database.write() as connection:
        people = {name: {"email": f"{name}@example.com"} for name in ("joe", "jane")}
        town.take_in(connection, *({"id": n, "data": data} for n, data in people.items()))
        assert project_some(connection, town, most=10, now=NOW) == 2
        assert all(row.indexed for row in events_of(connection))
        assert index_some(connection, most=10) == 0
        asked = EventFilter(query=read_query("jane@example.com", country="US"))
        page = list_events(connection, asked, most=9, before=None)
        assert [row.external_id for row in page.rows] == ["jane"]


def test_a_set_that_the_database_rejects_is_folded_one_by_one(
    database, town, monkeypatch, caplog
) -> None:
    written = contacts.fold_contacts

    def refuse(connection, told, *, now):
        if any(facts.data["email"] == "e2@example.com" for facts in told):
            raise IntegrityError("x", {}, Exception("of one row"))
        return written(connection, told, now=now)

    monkeypatch.setattr(projections, "fold_contacts", refuse)
    with database.write() as connection:
        emails = {name: {"email": f"{name}@example.com"} for name in ("e1", "e2", "e3")}
        town.take_in(connection, *({"id": n, "data": data} for n, data in emails.items()))
        assert project_some(connection, town, most=10, now=NOW) == 3
        events = {row.external_id: row for row in events_of(connection)}
        assert all(row.folded for row in events.values())
        assert [name for name, row in events.items() if row.contact_id] == ["e1", "e3"]
        assert index_some(connection, most=10) == 3
        [alert] = rows(connection, Alert)
    assert (alert.kind, alert.subject) == (alerts.NOT_FOLDED, "source provider")
    assert str(events["e2"].id) in alert.message
    assert caplog.text.count("a projection failed and is skipped (IntegrityError)") == 1


def test_no_event_is_waited_for_and_none_is_folded_before_an_earlier_one(
    postgresql_url, town
) -> None:
    """Ingest that counts duplicates may hold several: each would wait for a row of the other."""
    database = open_database(postgresql_url, pool_size=2)
    with database.write() as connection:
        emails = {name: {"email": f"{name}@example.com"} for name in ("e1", "e2", "e3")}
        town.take_in(connection, *({"id": n, "data": data} for n, data in emails.items()))

    def folded() -> list[str]:
        with database.write() as connection:
            project_some(connection, town, most=10, now=NOW)
        with database.read() as connection:
            return [row.external_id for row in events_of(connection) if row.folded]

    with database.read() as connection:
        # Events of one moment have ids in any order.
        first, locked, _ = sorted(events_of(connection), key=lambda row: row.id)
    with database.write() as counting:
        second = StoredEvent.id == locked.id
        counting.execute(update(StoredEvent).where(second).values(duplicates=1))
        assert folded() == [first.external_id]
    assert sorted(folded()) == ["e1", "e2", "e3"]
    database.engine.dispose()
