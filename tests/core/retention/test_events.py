"""Events that retention deletes: with all that hangs on them, and never under something open."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Connection, insert, select, text, update

from hub.core.delivery.restore_detection import Watermark, is_missing, newest_watermark
from hub.core.events.edited_copies import copy_event
from hub.core.ids import new_id
from hub.core.leads.acknowledgement import NOBODY_TOOK_IT, lead_subject
from hub.core.models import (
    Acknowledgement,
    Alert,
    Assignment,
    Attempt,
    AuditEntry,
    Delivery,
    DeliveryState,
    EventCopy,
    EventKey,
    HubIdentity,
    LeadLink,
    LeadNotification,
    Replay,
    ReplayItem,
    StoredEvent,
    StoredRequest,
)
from hub.core.models.events import SEARCH_TABLE
from hub.core.monitoring import alerts
from hub.core.replays.replay import preview_deliveries, replay_deliveries
from hub.core.retention import events
from hub.gateways.database.engine import open_database
from tests.core.making import NOW, rows
from tests.core.retention.aging import DAY, OLD, Attic, count

SETTLED = {DeliveryState.SUCCEEDED, DeliveryState.FAILED, DeliveryState.SKIPPED}


def belongings(connection: Connection, event_id: UUID, delivery_id: UUID) -> None:
    """Give an event one row of every table whose rows hang on events."""
    mine = {"event_id": event_id, "person": "dana", "created_at": OLD}
    connection.execute(insert(LeadLink).values(digest=b"d", **mine))
    connection.execute(
        insert(Assignment).values(event_id=event_id, assign="sales", person="dana", name="Dana",
                                  rule=1, why="first", n=1, decided_at=OLD)
    )  # fmt: skip
    connection.execute(
        insert(Acknowledgement).values(event_id=event_id, how="link", actor="dana", at=OLD)
    )
    connection.execute(
        insert(LeadNotification).values(
            id=new_id(OLD), route="all", n=0, assign="sales", delivery_id=delivery_id, after_s=60,
            closed_at=OLD, ended="taken", **mine,
        )
    )  # fmt: skip


def left(connection: Connection) -> dict[str, int]:
    """Return the numbers of rows that are left in the tables of events and leads."""
    tables = (StoredRequest, StoredEvent, Delivery, Attempt, LeadLink, Assignment, Acknowledgement,
              LeadNotification, EventCopy)  # fmt: skip
    found = {table.__tablename__: count(connection, table) for table in tables}
    words = connection.execute(text(f"SELECT count(*) FROM {SEARCH_TABLE}")).scalar_one()
    return {name: n for name, n in (found | {SEARCH_TABLE: words}).items() if n}


def test_an_old_event_goes_with_all_that_hangs_on_it_and_its_key_stays(attic) -> None:
    with attic.database.write() as connection:
        event_id = attic.old(connection)
        belongings(connection, event_id, attic.attempt(connection, event_id, n=2))
        assert attic.store(connection, NOW - 3 * DAY, "e1") == [], "it came again"
        assert len(left(connection)) == 9
    assert attic.clean()["events"] == 1
    with attic.database.write() as connection:
        assert left(connection) == {}
        assert count(connection, EventKey) == 1
        assert attic.store(connection, NOW, "e1") == [], "it is known, and does nothing"
        [request] = connection.execute(select(StoredRequest.__table__)).all()
    assert (request.state, request.event_id) == ("duplicate", event_id)


@pytest.mark.parametrize("state", list(DeliveryState))
def test_an_event_goes_only_when_its_deliveries_are_settled(attic, state) -> None:
    with attic.database.write() as connection:
        attic.old(connection, state=state)
    assert attic.clean().get("events", 0) == (state in SETTLED)
    with attic.database.read() as connection:
        assert count(connection, StoredEvent) == (state not in SETTLED)
        assert count(connection, Attempt) == (state not in SETTLED)


def open_attempt(connection: Connection, event_id: UUID, delivery_id: UUID) -> None:
    connection.execute(update(Attempt).values(state="unknown"))


def lead_to_tell_of(connection: Connection, event_id: UUID, delivery_id: UUID) -> None:
    belongings(connection, event_id, delivery_id)
    connection.execute(update(LeadNotification).values(closed_at=None))


def lead_nobody_took(connection: Connection, event_id: UUID, delivery_id: UUID) -> None:
    alerts.begin(connection, NOBODY_TOOK_IT, lead_subject(event_id), "look after it", now=OLD)


def delivery_with_alert(connection: Connection, event_id: UUID, delivery_id: UUID) -> None:
    alerts.begin(connection, alerts.DOUBLE_EFFECT, f"delivery {delivery_id}", "twice", now=OLD)


def replay_to_go_on(connection: Connection, event_id: UUID, delivery_id: UUID) -> None:
    replay_id = new_id(NOW)
    connection.execute(
        insert(Replay).values(
            id=replay_id, token="t", fingerprint="f", state="paused", actor="jane", filter={},
            again=False, per_minute=1, total=1, left_out=[], paid_until=NOW, created_at=NOW,
        )
    )  # fmt: skip
    connection.execute(
        insert(ReplayItem).values(
            replay_id=replay_id, delivery_id=delivery_id, plan="anew", state="waiting"
        )
    )


@pytest.mark.parametrize(
    ("open_", "close"),
    [
        (open_attempt, update(Attempt).values(state="rejected")),
        (lead_to_tell_of, update(LeadNotification).values(closed_at=OLD)),
        (lead_nobody_took, update(Alert).values(ended_at=NOW)),
        (delivery_with_alert, update(Alert).values(ended_at=NOW)),
        (replay_to_go_on, update(Replay).values(state="cancelled")),
    ],
)
def test_an_event_stays_as_long_as_something_about_it_is_open(
    attic: Attic, open_: Callable[..., None], close: Any
) -> None:
    with attic.database.write() as connection:
        event_id = attic.old(connection)
        delivery_id = connection.execute(select(Delivery.id)).scalar_one()
        open_(connection, event_id, delivery_id)
    assert not attic.clean().keys() & {"events", "bodies"}
    with attic.database.write() as connection:
        connection.execute(close)
    assert attic.clean()["events"] == 1
    with attic.database.read() as connection:
        assert left(connection) == {}


@pytest.mark.parametrize(("days", "gone"), [(399, 0), (400, 1)])
def test_an_event_goes_when_it_is_too_old_and_not_before(attic, days: int, gone: int) -> None:
    with attic.database.write() as connection:
        [event_id] = attic.store(connection, NOW - days * DAY - timedelta(seconds=1), "e1")
        attic.attempt(connection, event_id)
    assert attic.clean().get("events", 0) == gone


def test_a_request_goes_with_the_last_of_its_events(attic) -> None:
    with attic.database.write() as connection:
        one, two = attic.store(connection, OLD, "e1", "e2")
        attic.attempt(connection, one, "unknown")
        attic.attempt(connection, two)
    assert attic.clean()["events"] == 1
    with attic.database.write() as connection:
        assert count(connection, StoredRequest) == 1
        connection.execute(update(Delivery).values(state="failed"))
        connection.execute(update(Attempt).values(state="rejected"))
    attic.clean()
    with attic.database.read() as connection:
        assert left(connection) == {}


def test_an_original_stays_as_long_as_its_edited_copy(attic) -> None:
    with attic.database.write() as connection:
        original = attic.old(connection)
        data = {"name": "Jane Doe"}
        at = NOW - 300 * DAY
        copy_id, _ = copy_event(connection, attic.town, original, data, actor="user:jane", now=at)
        attic.attempt(connection, copy_id)
    assert "events" not in attic.clean()
    later = NOW + 101 * DAY
    attic.clean(now=later)
    assert attic.clean(now=later) == {"events": 1}
    with attic.database.read() as connection:
        assert left(connection) == {}


def test_an_event_that_came_very_often_goes_in_several_steps(attic, monkeypatch) -> None:
    monkeypatch.setattr(events, "MOST_REPEATS", 3)
    with attic.database.write() as connection:
        attic.old(connection)
        for _ in range(7):
            attic.store(connection, NOW - DAY, "e1")
    passes = [attic.walk("events") for _ in range(3)]
    assert passes == [0, 0, 1]
    with attic.database.read() as connection:
        assert left(connection) == {}


def test_events_that_came_often_do_not_all_go_in_one_step(attic, monkeypatch) -> None:
    monkeypatch.setattr(events, "MOST_REPEATS", 5)
    with attic.database.write() as connection:
        for name in ("e1", "e2", "e3"):
            attic.old(connection, name)
            for _ in range(2):
                attic.store(connection, NOW - DAY, name)
    passes = [attic.walk("events") for _ in range(3)]
    assert passes == [1, 1, 1]


def test_a_replay_and_a_deletion_of_one_moment_do_not_meet(postgresql_url, town) -> None:
    """The one that locks the delivery first decides; the other one leaves it alone."""
    database, beside = (open_database(postgresql_url, pool_size=2) for _ in range(2))
    attic = Attic(database, town)
    with database.write() as connection:
        attic.old(connection, state="failed")
    with beside.write() as connection:
        planned = preview_deliveries(connection, town, {"state": "failed"}, lock=True)
        assert "events" not in attic.clean(), "its delivery is locked"
        assert replay_deliveries(connection, town, planned, actor="user:jane", now=NOW) == 1
    assert "events" not in attic.clean(), "its delivery is due"
    with database.write() as connection:
        connection.execute(update(Delivery).values(state="failed"))
    with beside.write() as connection:
        planned = preview_deliveries(connection, town, {"state": "failed"})
        assert attic.clean()["events"] == 1
        assert replay_deliveries(connection, town, planned, actor="user:jane", now=NOW) == 0
        assert count(connection, AuditEntry, AuditEntry.action == "replay.anew") == 1
    database.engine.dispose()
    beside.engine.dispose()


def test_without_an_end_nothing_goes(attic) -> None:
    forever = dict.fromkeys(attic.retention.__slots__)
    attic.retention = type(attic.retention)(**forever)
    with attic.database.write() as connection:
        attic.old(connection)
        before = left(connection)
    much_later: datetime = NOW + 9000 * DAY
    assert attic.clean(now=much_later) == {}
    with attic.database.read() as connection:
        assert left(connection) == before


@pytest.mark.parametrize("days", [1, 29])
def test_the_newest_call_that_is_deleted_is_not_taken_for_one_that_a_backup_lacks(
    attic, days: int
) -> None:
    """An event of long ago was replayed lately, and nothing else came since."""
    with attic.database.write() as connection:
        attic.old(connection)
        attempt_id, at = new_id(NOW - days * DAY), NOW - days * DAY
        connection.execute(update(Attempt).values(id=attempt_id, started_at=at))
        mark = newest_watermark(connection)
    assert mark is not None
    with attic.database.read() as connection:
        assert not is_missing(connection, mark, now=NOW)
    assert attic.clean()["events"] == 1
    with attic.database.read() as connection:
        assert newest_watermark(connection) is None
        assert not is_missing(connection, mark, now=NOW)
        assert is_missing(connection, Watermark(new_id(NOW), NOW), now=NOW), "a later one is"


def test_calls_of_long_ago_are_deleted_without_a_word(attic) -> None:
    """Their watermark proves nothing anyway: no row is written with each step."""
    with attic.database.write() as connection:
        attic.old(connection)
    attic.clean()
    with attic.database.read() as connection:
        assert rows(connection, HubIdentity)[0].attempts_deleted_until is None
