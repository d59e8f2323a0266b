"""All kinds together: random rows and steps, kills between and within steps, and every table."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event, select, text, update

from hub.core.models import (
    Attempt,
    Base,
    Delivery,
    DeliveryState,
    EventKey,
    EventState,
    StoredEvent,
    StoredRequest,
)
from hub.core.models.events import SEARCH_TABLE
from hub.core.retention.schedule import deletions
from hub.core.retention.walk import AIMS_AT_S, FIRST, LARGEST, SMALLEST, Step, Walk
from hub.gateways.database.engine import open_database
from tests.core.making import NOW, Town, route, rows
from tests.core.retention.aging import DAY, Attic, count
from tests.core.retention.test_events import SETTLED
from tests.exploring import examples

# Kind of deletion, or the reason why its rows are few and say nothing about people that must go.
TABLES = {
    "acknowledgements": "events",
    "alerts": "alerts",
    "assignments": "events",
    "attempts": "events",
    "audit_log": "for ever, unless `retention.audit` says otherwise",
    "config_versions": "versions of hub.yaml",
    "contacts": "until they are erased",
    "deliveries": "events",
    "event_copies": "events",
    "event_keys": "keys",
    "events": "events",
    "heartbeats": "a row for each part of the hub",
    "hours": "8 days, by the count of the hours itself",
    "hub_identity": "one row",
    "identities": "until they are erased",
    "inbound_requests": "rejected requests",
    "lanes": "a row for each destination and shard",
    "lead_links": "events",
    "limit_counts": "as long as their window, by the clock's escalation",
    "recovery_codes": "tokens",
    "replay_items": "replays",
    "replays": "replays",
    "restorations": "a row for each restored backup",
    "sessions": "sessions",
    "sign_in_tries": "tokens",
    "source_states": "a row for each source",
    "tellings": "events",
    "tickets": "tokens",
    "undeclared_fields": "90 days without a post that has it, when the next are written",
    "users": "until they are deleted by a person",
}
KINDS = {
    "held leads", "alerts", "sessions", "tokens", "answers", "rejected requests", "bodies",
    "events", "duplicate requests", "unreadable requests", "replays", "versions of hub.yaml",
    "keys",
}  # fmt: skip


def test_every_table_is_deleted_by_a_kind_or_said_to_stay() -> None:
    """A table that is added has to be put here: nothing is kept for ever by mistake."""
    assert set(TABLES) == set(Base.metadata.tables)


def test_the_kinds_are_those_of_the_default_spans(attic) -> None:
    assert set(deletions(attic.configuration, now=NOW)) == KINDS
    named = {what for what in TABLES.values() if " " not in what or what in KINDS}
    assert named <= KINDS


AGES = (10, 89, 91, 399, 401, 799, 801)
STATES = st.sampled_from(list(DeliveryState))
EVENTS = st.lists(
    st.tuples(st.sampled_from(AGES), st.lists(STATES, min_size=2, max_size=2), st.booleans()),
    min_size=1,
    max_size=6,
)


@given(
    requests=st.lists(EVENTS, min_size=1, max_size=4),
    steps=st.lists(st.tuples(st.integers(0, 20), st.integers(1, 5), st.booleans()), max_size=25),
)
@settings(
    max_examples=examples(40),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_whatever_the_steps_nothing_unsettled_goes_and_no_row_is_left_alone(
    sqlite_url, tmp_path_factory, requests, steps
) -> None:
    """Steps of random kinds and sizes; some are killed before they commit."""
    with fresh(sqlite_url, tmp_path_factory) as attic:
        facts = fill(attic, requests)
        kinds = attic.kinds()
        for kind, most, killed in steps:
            one_step(attic, kinds[kind % len(kinds)], most, killed=killed)
            check(attic, facts)
        for _ in range(2):
            attic.clean(most=3)
        check(attic, facts, is_over=True)


@contextmanager
def fresh(sqlite_url: str, folders: pytest.TempPathFactory) -> Iterator[Attic]:
    """Open a copy of the empty database; every example has its own."""
    path = folders.mktemp("attic") / "hub.db"
    with open(sqlite_url.removeprefix("sqlite:///"), "rb") as empty:
        path.write_bytes(empty.read())
    database = open_database(f"sqlite:///{path}", pool_size=2)
    yield Attic(database, Town(routes=[route("a"), route("b")]))
    database.engine.dispose()


def fill(attic: Attic, requests: list[Any]) -> dict[str, tuple[int, bool]]:
    """Store the requests; return the age in days and whether all is settled, by event."""
    facts = {}
    with attic.database.write() as connection:
        for number, events in enumerate(requests):
            # The events of a request are as old as it is.
            days = events[0][0]
            names = [f"e{number}.{n}" for n in range(len(events))]
            ids = attic.store(connection, NOW - days * DAY - timedelta(minutes=1), *names)
            for name, event_id, (_, states, again) in zip(names, ids, events, strict=True):
                attic.attempt(connection, event_id)
                mine = (
                    select(Delivery.id).where(Delivery.event_id == event_id).order_by(Delivery.id)
                )
                for one, state in zip(
                    connection.execute(mine).scalars().all(), states, strict=True
                ):
                    connection.execute(
                        update(Delivery).where(Delivery.id == one).values(state=state)
                    )
                facts[name] = days, set(states) <= SETTLED
                if again:
                    attic.store(connection, NOW - min(days, 400) * DAY, name)
    return facts


def one_step(attic: Attic, kind: str, most: int, *, killed: bool) -> None:
    if not killed:
        attic.step(kind, most=most)
        return

    walk = attic.walks.setdefault(kind, Walk(kind))
    with attic.database.write() as connection:
        deletions(attic.configuration, now=NOW)[kind](connection, walk.after, most)
        connection.rollback()


def check(attic: Attic, facts: dict[str, tuple[int, bool]], *, is_over: bool = False) -> None:
    with attic.database.read() as connection:
        there = {row.external_id: row for row in rows(connection, StoredEvent)}
        whole = {row.id for row in rows(connection, StoredRequest) if row.body is not None}
        keys = {row.external_id for row in rows(connection, EventKey, EventKey.external_id)}
        for name, (days, is_settled) in facts.items():
            assert name in there or (is_settled and days > 400), f"{name} is lost"
            assert name in keys or (name not in there and days > 800), f"{name} has no key"
            if name in there and (not is_settled or days < 90):
                assert there[name].request_id in whole, f"{name} has lost its body"
            if is_over and is_settled:
                assert (name in there) == (days < 400)
                assert (name in keys) == (days < 800)
        orphans = text(f"SELECT count(*) FROM {SEARCH_TABLE} WHERE event_id NOT IN "
                       "(SELECT id FROM events)")  # fmt: skip
        assert connection.execute(orphans).scalar_one() == 0
        assert connection.execute(text("PRAGMA foreign_key_check")).all() == []


def test_a_walk_is_killed_after_any_statement_and_the_next_one_ends_the_work(attic) -> None:
    """Each time the connection breaks one statement later, until the step gets through."""
    with attic.database.write() as connection:
        attic.old(connection)
        attic.old(connection, "e2", state="unknown")
    attic.pipelined, survived = False, 0
    while survived < 60 and not breaks(attic, after=survived):
        with attic.database.read() as connection:
            assert count(connection, StoredEvent) == count(connection, Delivery) == 2
            assert count(connection, Attempt) == 2
        survived += 1
    assert survived >= 10
    with attic.database.read() as connection:
        assert count(connection, StoredEvent) == count(connection, Attempt) == 1


def breaks(attic: Attic, *, after: int) -> bool:
    """Make a step whose process is killed after so many statements; return whether it ended."""
    left = [after]

    def kill(*_: Any) -> None:
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1

    engine = attic.database.engine
    event.listen(engine, "before_cursor_execute", kill)
    try:
        attic.step("events")
    except KeyboardInterrupt:
        return False
    finally:
        event.remove(engine, "before_cursor_execute", kill)
    return True


def test_what_one_clock_has_locked_the_other_one_leaves(postgresql_url, town) -> None:
    one, two = (Attic(open_database(postgresql_url, pool_size=2), town) for _ in range(2))
    with one.database.write() as connection:
        for n in range(4):
            one.old(connection, f"e{n}")
    with one.database.write() as connection:
        delete = deletions(one.configuration, now=NOW)["events"]
        step = delete(connection, Walk("events").after, 2)
        assert step.deleted == 2
        assert two.walk("events") == 2, "the others, without waiting"
    with one.database.read() as connection:
        assert count(connection, StoredEvent) == 0
    for attic in (one, two):
        attic.database.engine.dispose()


@pytest.mark.parametrize("state", list(EventState))
def test_an_event_goes_in_every_state_but_held(attic, state: str) -> None:
    with attic.database.write() as connection:
        attic.old(connection)
        connection.execute(update(StoredEvent).values(state=state))
    assert attic.clean().get("events", 0) == (state != EventState.HELD)


def test_a_step_follows_the_time_that_it_takes() -> None:
    walk, on = Walk("events"), Step(1, reached=Walk("x").after)
    for _ in range(9):
        walk.take_step(on, 0.001)
    assert walk.most == LARGEST
    walk.take_step(on, AIMS_AT_S * 0.7)
    assert walk.most == LARGEST
    walk.take_step(on, AIMS_AT_S * 1.1)
    assert walk.most == LARGEST // 2
    for _ in range(9):
        walk.take_step(on, 1.0)
    assert walk.most == SMALLEST
    assert walk.take_step(Step(3), 0.0)
    assert (walk.take_count(), walk.take_count()) == (23, 0)
    assert FIRST < LARGEST
