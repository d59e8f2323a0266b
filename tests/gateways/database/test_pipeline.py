"""Pipelines: statements that travel together do what they do one by one, also when they fail."""

from collections.abc import Iterator
from threading import Barrier, Thread

import psycopg
import pytest
from sqlalchemy import (
    BigInteger,
    Text,
    bindparam,
    create_engine,
    func,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.exc import DBAPIError

from adapters import Outcome, Verdict
from hub.core.database_errors import DatabaseErrorKind, classify
from hub.core.delivery.claim import ask_due
from hub.core.delivery.record import Finished, Recording
from hub.core.delivery.transitions import Transition
from hub.core.models import AttemptState, DeliveryState, Lane
from hub.core.pipeline import StatementForRows, pipeline_of
from hub.gateways.database import bounded_connection
from hub.gateways.database.engine import Database, engine_options, open_database
from tests.core.making import Town, attempts_of, deliveries_of, lease_of
from tests.timing import NEVER_S

ADD = insert(Lane.__table__).values(  # type: ignore[arg-type]
    destination=bindparam("name"),
    shard=0,
    shards=1,
    token=0,
    paused=False,
    setbacks=0,
    failures=0,
)
TOKENS = select(Lane.destination, Lane.token).order_by(Lane.destination)
SET_TOKENS = StatementForRows(
    lambda row: update(Lane.__table__).where(Lane.destination == row["name"]).values(  # type: ignore[arg-type]
        token=row["token"], holder=row["holder"]
    ),
    {"name": Text(), "token": BigInteger(), "holder": Text()},
    by=(Lane.destination, "name"),
)  # fmt: skip
DONE = Transition(DeliveryState.SUCCEEDED, AttemptState.ACCEPTED)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = open_database(database_url, pool_size=4)
    yield database
    database.engine.dispose()


@pytest.fixture
def postgresql(postgresql_url: str) -> Iterator[Database]:
    database = open_database(postgresql_url, pool_size=4)
    yield database
    database.engine.dispose()


def lanes_of(database: Database) -> list[tuple[str, int]]:
    with database.read() as connection:
        return [tuple(row) for row in connection.execute(TOKENS)]


def test_what_was_added_is_there_once_the_block_has_ended(database) -> None:
    with database.write_pipelined() as connection:
        pipeline_of(connection).add(ADD, {"name": "ops"})
        pipeline_of(connection).add(ADD, {"name": "crm"})
        assert lanes_of(database) == []
    assert lanes_of(database) == [("crm", 0), ("ops", 0)]


def test_a_block_that_fails_leaves_nothing_whether_it_was_sent_or_not(database) -> None:
    def fail(*, sent: bool) -> None:
        with database.write_pipelined() as connection:
            pipeline_of(connection).add(ADD, {"name": "ops"})
            if sent:
                pipeline_of(connection).send()
            raise RuntimeError

    for sent in (False, True):
        with pytest.raises(RuntimeError):
            fail(sent=sent)
    assert lanes_of(database) == []


def test_an_empty_block_and_one_of_other_statements_work(database) -> None:
    with database.write_pipelined():
        pass
    with database.write_pipelined() as connection:
        connection.execute(insert(Lane).values(destination="ops"))
        with connection.begin_nested() as inner:
            connection.execute(insert(Lane).values(destination="crm"))
            inner.rollback()
        assert lanes_of(database) == []
    assert lanes_of(database) == [("ops", 0)]


def test_another_statement_sees_what_was_added_before_it(database) -> None:
    with database.write_pipelined() as connection:
        pipeline_of(connection).add(ADD, {"name": "ops"})
        assert connection.execute(TOKENS).all() == [("ops", 0)]


def test_the_same_statement_twice_has_two_answers(database) -> None:
    one = select(Lane.destination).where(Lane.destination == bindparam("name"))
    with database.write() as connection:
        connection.execute(ADD, [{"name": "ops"}, {"name": "crm"}])
    with database.write_pipelined() as connection:
        asked = [pipeline_of(connection).add(one, {"name": name}) for name in ("ops", "crm")]
        assert [[row.destination for row in answer.all()] for answer in asked] == [["ops"], ["crm"]]


def test_statements_that_travel_together_have_the_time_of_each(postgresql_url, monkeypatch) -> None:
    """A client that gives up earlier would not know that the COMMIT still took effect."""
    monkeypatch.setattr(bounded_connection, "STATEMENT_TIMEOUT_S", NEVER_S)
    engine = create_engine(postgresql_url, **engine_options(postgresql_url))
    database = Database(engine, round_trip_s=0.2)
    rests = select(func.pg_sleep(bindparam("seconds")))
    with database.write_pipelined() as connection:
        pipeline_of(connection).add(ADD, {"name": "ops"})
        pipeline_of(connection).add(rests, {"seconds": 0.5})
    assert lanes_of(database) == [("ops", 0)]
    with pytest.raises(DBAPIError) as caught, database.write_pipelined() as connection:
        pipeline_of(connection).add(rests, {"seconds": 5})
    assert classify(caught.value) is DatabaseErrorKind.UNAVAILABLE
    engine.dispose()


def test_a_statement_prepared_before_a_migration_can_be_tried_again(
    postgresql, postgresql_url
) -> None:
    asked = text("SELECT destination FROM lanes").columns(Lane.destination)

    def ask() -> None:
        with postgresql.write_pipelined() as connection:
            pipeline_of(connection).add(asked, {}).all()

    for _ in range(2):
        ask()
    with psycopg.connect(postgresql_url) as migration:
        migration.execute("ALTER TABLE lanes ALTER destination TYPE varchar(80)")
    with pytest.raises(DBAPIError) as caught:
        ask()
    assert classify(caught.value) is DatabaseErrorKind.RETRYABLE
    ask()


def test_many_rows_are_changed_and_counted(database) -> None:
    with database.write_pipelined() as connection:
        pipeline = pipeline_of(connection)
        for name in ("a", "b", "c"):
            pipeline.add(ADD, {"name": name})
        rows = [
            {"name": "a", "token": 2**40, "holder": "é\"'\\"},
            {"name": "b", "token": 7, "holder": None},
            {"name": "none", "token": 1, "holder": None},
        ]
        changed = pipeline.add_rows(SET_TOKENS, rows)
        asked = pipeline.add(TOKENS, {})
        assert changed.rowcount == 2
        assert [(row.destination, row.token) for row in asked.all()] == [
            ("a", 2**40), ("b", 7), ("c", 0)
        ]  # fmt: skip
    with database.read() as connection:
        assert connection.execute(select(Lane.holder)).scalars().all().count("é\"'\\") == 1


@pytest.mark.parametrize("asked", [True, False])
def test_a_statement_that_fails_ends_all_and_is_told_apart(postgresql, asked) -> None:
    """Asked: its answer was wanted; else it travels with the COMMIT."""

    def twice() -> None:
        with postgresql.write_pipelined() as connection:
            pipeline = pipeline_of(connection)
            pipeline.add(ADD, {"name": "crm"})
            added = pipeline.add(ADD, {"name": "ops"})
            pipeline.add(TOKENS, {})
            if asked:
                assert added.rowcount == 1

    with postgresql.write() as connection:
        connection.execute(insert(Lane).values(destination="ops"))
    for _ in range(2):  # the second time on the same connection
        with pytest.raises(DBAPIError) as caught:
            twice()
        assert isinstance(caught.value.orig, psycopg.errors.UniqueViolation)
        assert classify(caught.value) is DatabaseErrorKind.REJECTED_ROW
    assert lanes_of(postgresql) == [("ops", 0)]
    with postgresql.write_pipelined() as connection:
        pipeline_of(connection).add(ADD, {"name": "crm"})
    assert lanes_of(postgresql) == [("crm", 0), ("ops", 0)]


@pytest.mark.parametrize("asked", [True, False])
def test_a_backend_that_was_ended_means_gone_and_the_next_block_works(postgresql, asked) -> None:
    def end_it() -> None:
        with postgresql.write_pipelined() as connection:
            own = connection.execute(text("SELECT pg_backend_pid()")).scalar()
            with postgresql.read() as other:
                other.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": own})
            added = pipeline_of(connection).add(ADD, {"name": "ops"})
            if asked:
                assert added.rowcount == 1

    with pytest.raises(DBAPIError) as caught:
        end_it()
    assert classify(caught.value) is DatabaseErrorKind.UNAVAILABLE
    with postgresql.write_pipelined() as connection:
        pipeline_of(connection).add(ADD, {"name": "crm"})
    assert lanes_of(postgresql) == [("crm", 0)]


def test_a_deadlock_can_be_tried_again(postgresql) -> None:
    with postgresql.write() as connection:
        connection.execute(insert(Lane), [{"destination": "a"}, {"destination": "b"}])
    both_hold = Barrier(2, timeout=10)
    troubles: list[DatabaseErrorKind] = []

    def cross(names: str) -> None:
        try:
            with postgresql.write_pipelined() as connection:
                connection.execute(text("SET LOCAL deadlock_timeout = '20ms'"))
                for name in names:
                    row = {"name": name, "token": 1, "holder": None}
                    assert pipeline_of(connection).add_rows(SET_TOKENS, [row]).rowcount == 1
                    if name == names[0]:
                        both_hold.wait()
        except DBAPIError as error:
            troubles.append(classify(error))

    threads = [Thread(target=cross, args=(names,)) for names in ("ab", "ba")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert troubles == [DatabaseErrorKind.RETRYABLE]


def test_a_record_and_the_next_claim_are_one_transaction(database) -> None:
    town = Town()
    with database.write() as connection:
        town.take_in(connection, {"id": "e1"})
        town.take_in(connection, {"id": "e2"})
        lease = lease_of(connection)
    with database.write_pipelined() as connection:
        [one] = town.claim(connection, lease, slots=1)
    with database.read() as connection:
        assert [attempt.state for attempt in attempts_of(connection)] == ["calling"]
    answered = Outcome(Verdict.SUCCEEDED, "", status=200, provider_ref="r1")
    ended = Finished(one.delivery_id, one.attempt_id, lease.token, answered, DONE)
    with database.write_pipelined() as connection:
        recording = Recording(connection, [ended])
        due = ask_due(connection, lease, 8, suspects=False)
        assert recording.settle() == 0
        assert [row.event_external_id for row in due.due.all()] == ["e2"]
        town.claim(connection, lease)
    with database.read() as connection:
        attempts, deliveries = attempts_of(connection), deliveries_of(connection)
    assert [(row.state, row.provider_ref) for row in attempts] == [
        ("accepted", "r1"), ("calling", None)
    ]  # fmt: skip
    assert [row.state for row in deliveries] == ["succeeded", "running"]
    assert attempts[1].started_at.tzinfo is not None
