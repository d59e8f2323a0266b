"""Retention beside the clock: turns, pauses, one clock at a time, and failures that are told."""

import logging
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError, OperationalError

from hub.clock import retention
from hub.clock.clock import tick
from hub.clock.retention import RetentionTask, RowsStay, StepsInVain, be_gentle
from hub.core.configuration import Configuration
from hub.core.models import Alert, StoredEvent
from hub.core.monitoring import alerts
from hub.core.retention import schedule
from hub.gateways.database.engine import open_database
from tests.core.making import Town
from tests.core.retention.aging import Attic, count

OLD = timedelta(days=401)


@dataclass
class Hub(Town):
    """Test hub with a store."""

    store: Any = None


class Queues:
    """Wake-up queues of a clock without Redis."""

    class names:
        hub_id = None

    def wake(self, _: Any) -> None:
        pass


@pytest.fixture
def hub(database_url):
    hub = Hub(store=open_database(database_url, pool_size=4))
    yield hub
    hub.store.engine.dispose()


def fill(hub: Hub, events: int, name: str = "e") -> None:
    attic = Attic(hub.store, hub)
    with hub.store.write() as connection:
        for n in range(events):
            [event_id] = attic.store(connection, datetime.now(UTC) - OLD, f"{name}{n}")
            attic.attempt(connection, event_id)


def events(hub: Hub) -> int:
    with hub.store.read() as connection:
        return count(connection, StoredEvent)


def without_waiting(task: RetentionTask) -> RetentionTask:
    """Let the next turn begin at once."""
    task._next_s = 0.0
    task._rests_until_s = {}
    return task


def test_a_turn_deletes_everything_that_is_too_old_and_says_so_in_one_line(hub, caplog) -> None:
    caplog.set_level(logging.INFO)
    fill(hub, 50)
    task = RetentionTask(hub, pauses=0)
    task.run_once()
    assert events(hub) == 0
    [line] = [one.message for one in caplog.records if one.name == "hub.clock.retention"]
    # Answers and bodies that a step of the events' own walk met first went with those.
    assert re.match(r"deleted ([0-9]+ answers, )?([0-9]+ bodies, )?50 events in ", line)
    caplog.clear()
    without_waiting(task).run_once()
    assert not [one for one in caplog.records if one.name == "hub.clock.retention"]


def test_a_turn_ends_and_the_next_one_continues_at_once(hub, monkeypatch) -> None:
    monkeypatch.setattr(retention, "TURN_S", 0.0)
    fill(hub, 3)
    task = RetentionTask(hub, pauses=0)
    task.run_once()
    assert events(hub) == 3, "the time was over before the first step"
    monkeypatch.setattr(retention, "TURN_S", 60.0)
    task.run_once()
    assert events(hub) == 0


def test_a_turn_begins_only_so_often_if_nothing_is_left(hub) -> None:
    task = RetentionTask(hub, pauses=0)
    task.run_once()
    fill(hub, 1)
    task.run_once()
    assert events(hub) == 1
    without_waiting(task).run_once()
    assert events(hub) == 0


@pytest.mark.parametrize(
    ("arriving", "pauses"),
    [(0, retention.FEWEST), (2, (retention.FEWEST + retention.MOST) / 2), (9, retention.MOST)],
)
def test_pauses_are_longer_the_more_comes_in(hub, monkeypatch, arriving, pauses) -> None:
    slept: list[float] = []
    monkeypatch.setattr(retention.time, "sleep", slept.append)
    # Four requests within an hour are as many as there may be.
    monkeypatch.setattr(retention, "LOOKS_BACK_S", 3600.0)
    monkeypatch.setattr(retention, "PRESSED_PER_S", 4 / 3600)
    with hub.store.write() as connection:
        for n in range(arriving):
            Attic(hub.store, hub).store(connection, datetime.now(UTC), f"new{n}")
    fill(hub, 5)
    task = RetentionTask(hub)
    task.run_once()
    assert max(slept) == pytest.approx(pauses * task.longest_s)


def test_of_two_clocks_one_deletes_at_a_time(postgresql_url) -> None:
    hubs = [Hub(store=open_database(postgresql_url, pool_size=4)) for _ in range(2)]
    fill(hubs[0], 3)
    one, two = (RetentionTask(hub, pauses=0) for hub in hubs)
    seen = []

    def beside(walk: Any, delete: Any) -> Any:
        two._failure = RowsStay("of its own turn, before the other clock's")
        two.run_once()
        two.raise_failure()
        seen.append(events(hubs[1]))
        one._delete = really  # type: ignore[method-assign]
        return really(walk, delete)

    really = one._delete
    one._delete = beside  # type: ignore[method-assign]
    one.run_once()
    assert seen == [3], "the other one did nothing meanwhile"
    fill(hubs[0], 2, "later")
    without_waiting(two).run_once()
    assert events(hubs[0]) == 0, "the lock is free again"
    for hub in hubs:
        hub.store.engine.dispose()


def test_a_step_gives_way_on_postgresql(postgresql_url) -> None:
    """Its transaction does not wait for long, and leaves nothing behind on the connection."""
    database = open_database(postgresql_url, pool_size=1)
    settings = [text(f"SHOW {name}") for name in ("lock_timeout", "synchronous_commit")]
    with database.write() as connection:
        be_gentle(connection)
        assert [connection.scalar(one) for one in settings] == ["40ms", "off"]
    with database.write() as connection:
        assert [connection.scalar(one) for one in settings] == ["3s", "on"]
    database.engine.dispose()


def test_a_lock_lets_a_kind_wait_and_the_others_go_on(hub, monkeypatch) -> None:
    def locked(*_: Any, **__: Any) -> None:
        raise OperationalError("DELETE", None, Exception("database is locked"))

    monkeypatch.setattr(schedule, "delete_bodies", locked)
    fill(hub, 2)
    task = RetentionTask(hub, pauses=0)
    task.run_once()
    task.raise_failure()
    assert events(hub) == 0


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (KeyError("x"), KeyError),
        (DBAPIError("DELETE", None, Exception("FOREIGN KEY constraint failed")), RowsStay),
    ],
)
def test_a_failure_is_told_until_a_turn_succeeds(hub, monkeypatch, error, raised) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    said = select(Alert.subject).where(Alert.kind == alerts.DUTY_FAILS, Alert.ended_at.is_(None))
    task = RetentionTask(hub, pauses=0)
    with monkeypatch.context() as broken:
        broken.setattr(schedule, "delete_events", fail)
        task.run_once()
    with pytest.raises(raised):
        task.raise_failure()
    tick(hub, None, Queues(), retention=task)  # type: ignore[arg-type]
    with hub.store.read() as connection:
        assert "deleting what is too old" in connection.execute(said).scalars().all()
    without_waiting(task).run_once()
    tick(hub, None, Queues(), retention=task)  # type: ignore[arg-type]
    with hub.store.read() as connection:
        assert "deleting what is too old" not in connection.execute(said).scalars().all()


@pytest.mark.parametrize(
    "error",
    [
        OperationalError("DELETE", None, Exception("database is locked")),
        DBAPIError("DELETE", None, Exception("gone"), connection_invalidated=True),
    ],
)
def test_a_kind_that_waits_turn_after_turn_is_told_of_until_a_step_succeeds(
    hub, monkeypatch, caplog, error
) -> None:
    def waits(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(retention, "MOST_IN_VAIN", 3)
    task, delete_keys = RetentionTask(hub, pauses=0), schedule.delete_keys
    told: list[bool] = []
    for fails in (True, True, False, True, True, True, True, False):
        monkeypatch.setattr(schedule, "delete_keys", waits if fails else delete_keys)
        without_waiting(task).run_once()
        try:
            task.raise_failure()
        except StepsInVain:
            told.append(True)
        else:
            told.append(False)
    assert told == [False, False, False, False, False, True, True, False]
    assert "no step of keys has succeeded in 3 turns" in caplog.text


def test_the_database_may_be_away(hub, monkeypatch, caplog) -> None:
    def away(*_: Any, **__: Any) -> None:
        raise DBAPIError("SELECT", None, Exception("gone"), connection_invalidated=True)

    monkeypatch.setattr(schedule, "delete_events", away)
    task = RetentionTask(hub, pauses=0)
    task.run_once()
    task.raise_failure()
    assert "retention waits: the database" in caplog.text


def test_what_comes_in_meanwhile_is_stored_on_sqlite_too(sqlite_url) -> None:
    """The clock's steps and the writers of another process take turns on the one file."""
    hub, other = (Hub(store=open_database(sqlite_url, pool_size=2)) for _ in range(2))
    fill(hub, 200)

    def take_in() -> None:
        for n in range(60):
            with other.store.write() as connection:
                other.take_in(connection, {"id": f"new{n}"}, at=datetime.now(UTC))

    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(take_in)
        RetentionTask(hub, pauses=0).run_once()
        coming.result(timeout=60)
    with hub.store.read() as connection:
        old = StoredEvent.external_id.startswith("e")
        assert count(connection, StoredEvent, old) == 0
        assert count(connection, StoredEvent, ~old) == 60
    for one in (hub, other):
        one.store.engine.dispose()


def test_the_spans_of_the_file_in_force_count(hub) -> None:
    fill(hub, 1)
    kept = replace(hub.configuration.retention, events=timedelta(days=500))

    class Longer(Hub):
        @property
        def configuration(self) -> Configuration:
            return replace(Town().configuration, retention=kept)

    RetentionTask(Longer(store=hub.store), pauses=0).run_once()
    assert events(hub) == 1


def test_a_clock_that_is_not_the_databases_deletes_nothing_and_somebody_is_told(
    hub, monkeypatch
) -> None:
    fill(hub, 1)
    task = RetentionTask(hub, pauses=0)
    monkeypatch.setattr(retention, "MOST_OFF", timedelta(days=-1))
    task.run_once()
    if hub.store.dialect == "sqlite":
        assert events(hub) == 0, "it has this machine's clock"
    else:
        assert events(hub) == 1
        with pytest.raises(retention.ClockOff):
            task.raise_failure()


def test_a_failure_is_told_until_a_turn_ends_well_and_by_the_clock_that_deletes_alone(
    hub, monkeypatch
) -> None:
    def refuses(*_: Any) -> None:
        raise RowsStay("rows")

    fill(hub, 1)
    task, other = RetentionTask(hub, pauses=0), RetentionTask(hub, pauses=0)
    with monkeypatch.context() as patched:
        patched.setattr(retention, "deletions", refuses)
        task.run_once()

    def told() -> list[str]:
        for one in (task, other):
            tick(hub, None, Queues(), retention=one)
        with hub.store.read() as connection:
            found = select(Alert.subject).where(Alert.ended_at.is_(None))
            return [one for one in connection.execute(found).scalars() if one.startswith("del")]

    assert told() == ["deleting what is too old"]
    without_waiting(task).run_once()
    assert told() == []
