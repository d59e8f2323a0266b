"""Database engines: transactions and errors mean the same on SQLite and PostgreSQL."""

import threading
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from sqlite3 import connect

import pytest
from sqlalchemy import event, insert, select, text, update
from sqlalchemy.exc import DBAPIError, OperationalError

from hub.core.database_errors import DatabaseErrorKind, classify
from hub.core.ids import new_id
from hub.core.models import Contact, Identity, Lane
from hub.gateways.database.engine import Database, engine_options, open_database
from hub.gateways.database.sqlite import JOURNAL_MOST_BYTES
from tests.forks import holds_in_a_fork

SECRET = "jane.doe@example.com"


@pytest.fixture
def database(database_url):
    database = open_database(database_url, pool_size=4)
    yield database
    database.engine.dispose()


@pytest.fixture
def sqlite(sqlite_url):
    database = open_database(sqlite_url)
    yield database
    database.engine.dispose()


@pytest.fixture
def postgresql(postgresql_url):
    database = open_database(postgresql_url, pool_size=4)
    yield database
    database.engine.dispose()


def lanes_of(database: Database) -> list[str]:
    with database.read() as connection:
        return list(
            connection.execute(select(Lane.destination).order_by(Lane.destination)).scalars()
        )


def add_lane(database: Database, name: str) -> None:
    with database.write() as connection:
        connection.execute(insert(Lane).values(destination=name))


def test_a_write_is_there_once_its_block_has_ended(database) -> None:
    with database.write() as connection:
        connection.execute(insert(Lane).values(destination="ops"))
        assert lanes_of(database) == []
    assert lanes_of(database) == ["ops"]


def test_a_write_whose_block_fails_leaves_nothing(database) -> None:
    def fail() -> None:
        with database.write() as connection:
            connection.execute(insert(Lane).values(destination="ops"))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert lanes_of(database) == []


def test_every_statement_of_a_read_sees_what_was_committed_before_it(database) -> None:
    with database.read() as connection:
        count = text("SELECT count(*) FROM lanes")
        assert connection.execute(count).scalar() == 0
        add_lane(database, "ops")
        assert connection.execute(count).scalar() == 1


def test_a_foreign_key_that_points_nowhere_is_refused(database) -> None:
    with pytest.raises(DBAPIError) as caught, database.write() as connection:
        connection.execute(insert(Identity).values(kind="email", value="a", contact_id=new_id(NOW)))
    assert classify(caught.value) is DatabaseErrorKind.REJECTED_ROW


NOW = datetime(2026, 11, 21, tzinfo=UTC)


def test_no_error_quotes_what_was_to_be_written(database) -> None:
    row = {"id": new_id(NOW), "email": SECRET, "created_at": NOW, "updated_at": NOW}
    with pytest.raises(DBAPIError) as caught, database.write() as connection:
        connection.execute(insert(Contact), [row, row])
    assert SECRET not in str(caught.value)
    assert classify(caught.value) is DatabaseErrorKind.REJECTED_ROW


def test_a_name_that_is_taken_is_the_trouble_of_its_row(database) -> None:
    add_lane(database, "ops")
    with pytest.raises(DBAPIError) as caught:
        add_lane(database, "ops")
    assert classify(caught.value) is DatabaseErrorKind.REJECTED_ROW


def test_a_statement_that_is_wrong_is_no_reason_to_wait_on_postgresql(postgresql) -> None:
    with pytest.raises(DBAPIError) as caught, postgresql.read() as connection:
        connection.execute(text("SELECT nothing FROM nowhere"))
    assert classify(caught.value) is DatabaseErrorKind.REJECTED_ROW


def test_a_lock_that_is_held_too_long_means_busy(postgresql) -> None:
    add_lane(postgresql, "ops")
    touch = update(Lane).where(Lane.destination == "ops").values(failures=1)
    with postgresql.write() as holder, postgresql.write() as waiter:
        holder.execute(touch)
        waiter.execute(text("SET LOCAL lock_timeout = '50ms'"))
        with pytest.raises(DBAPIError) as caught:
            waiter.execute(touch)
        waiter.rollback()
    assert classify(caught.value) is DatabaseErrorKind.RETRYABLE


def test_a_statement_that_takes_too_long_means_busy(postgresql) -> None:
    with postgresql.read() as connection:
        connection.execute(text("SET statement_timeout = '50ms'"))
        with pytest.raises(DBAPIError) as caught:
            connection.execute(text("SELECT pg_sleep(5)"))
    assert classify(caught.value) is DatabaseErrorKind.RETRYABLE


def test_two_that_wait_for_each_other_means_busy(postgresql) -> None:
    add_lane(postgresql, "a")
    add_lane(postgresql, "b")
    both_hold = threading.Barrier(2, timeout=10)
    troubles: list[DatabaseErrorKind] = []

    def cross(first: str, second: str) -> None:
        try:
            with postgresql.write() as connection:
                connection.execute(text("SET LOCAL deadlock_timeout = '20ms'"))
                for name in (first, second):
                    connection.execute(
                        update(Lane).where(Lane.destination == name).values(failures=1)
                    )
                    if name == first:
                        both_hold.wait()
        except DBAPIError as error:
            troubles.append(classify(error))

    threads = [threading.Thread(target=cross, args=pair) for pair in ("ab", "ba")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert troubles == [DatabaseErrorKind.RETRYABLE]


def test_a_backend_that_was_ended_means_gone_and_the_next_connection_works(postgresql) -> None:
    with postgresql.engine.connect() as connection:
        own = connection.execute(text("SELECT pg_backend_pid()")).scalar()
        with postgresql.read() as other:
            other.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": own})
        with pytest.raises(DBAPIError) as caught:
            connection.execute(text("SELECT 1"))
    assert classify(caught.value) is DatabaseErrorKind.UNAVAILABLE
    assert lanes_of(postgresql) == []


def test_a_server_that_is_not_there_means_gone() -> None:
    database = open_database("postgresql+psycopg://nobody:secret@127.0.0.1:1/none")
    with pytest.raises(OperationalError) as caught, database.read():
        pass
    assert classify(caught.value) is DatabaseErrorKind.UNAVAILABLE
    assert "secret" not in str(caught.value)


def test_the_limits_of_a_session_are_set_on_postgresql(postgresql) -> None:
    with postgresql.read() as connection:
        shown = {
            name: connection.execute(text(f"SHOW {name}")).scalar()
            for name in ("statement_timeout", "lock_timeout", "timezone")
        }
    assert shown == {"statement_timeout": "10s", "lock_timeout": "3s", "timezone": "UTC"}


def test_sqlite_is_durable_and_keeps_its_keys(sqlite) -> None:
    with sqlite.read() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


def test_the_log_of_sqlite_is_small_again_after_a_long_read(sqlite) -> None:
    path = Path(f"{sqlite.engine.url.database}-wal")
    with sqlite.write() as connection:
        connection.exec_driver_sql("CREATE TABLE big (x BLOB)")
    with sqlite.engine.connect() as reader:
        reader.exec_driver_sql("SELECT 1 FROM alembic_version")
        for _ in range(6):
            with sqlite.write() as connection:
                connection.exec_driver_sql("INSERT INTO big VALUES (zeroblob(4000000))")
        assert path.stat().st_size > JOURNAL_MOST_BYTES
    for name in ("ops", "crm", "sms"):
        add_lane(sqlite, name)
    assert path.stat().st_size <= JOURNAL_MOST_BYTES


def test_writers_of_sqlite_come_one_after_the_other(sqlite) -> None:
    add_lane(sqlite, "ops")

    def add() -> None:  # reads first: without BEGIN IMMEDIATE two of these would collide
        with sqlite.write() as connection:
            failures = connection.execute(select(Lane.failures)).scalar_one()
            time.sleep(0.005)
            connection.execute(update(Lane).values(failures=failures + 1))

    threads = [threading.Thread(target=add) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with sqlite.read() as connection:
        assert connection.execute(select(Lane.failures)).scalar() == 8


def test_a_locked_sqlite_means_busy_and_reading_goes_on(sqlite) -> None:
    with sqlite.write() as holder:
        holder.execute(insert(Lane).values(destination="ops"))
        with sqlite.engine.connect() as other:
            other.exec_driver_sql("PRAGMA busy_timeout = 20")
            with pytest.raises(DBAPIError) as caught:
                other.execute(insert(Lane).values(destination="crm"))
        assert classify(caught.value) is DatabaseErrorKind.RETRYABLE
        assert lanes_of(sqlite) == []


def test_a_sqlite_file_that_cannot_be_opened_means_gone(tmp_path) -> None:
    database = open_database(f"sqlite:///{tmp_path}")
    with pytest.raises(DBAPIError) as caught, database.read():
        pass
    assert classify(caught.value) is DatabaseErrorKind.UNAVAILABLE


def test_json_is_kept_as_it_was_given(database) -> None:
    options = engine_options(str(database.engine.url))
    value = {"ü": [1, 2.5, None, "é\u2028"], "big": 2**63}
    assert options["json_deserializer"](options["json_serializer"](value)) == value


def test_a_connection_of_sqlite_is_kept_until_the_file_is_another(sqlite, sqlite_url) -> None:
    opened = []
    event.listen(sqlite.engine, "connect", lambda *_: opened.append(1))
    for name in ("ops", "crm"):
        add_lane(sqlite, name)
        assert name in lanes_of(sqlite)
    assert len(opened) == 1
    path = Path(sqlite.engine.url.database)
    backup = path.with_name("backup.db")
    with closing(connect(path)) as source, closing(connect(backup)) as target:
        source.backup(target)
    add_lane(sqlite, "sms")
    for name in ("wal", "shm"):
        path.with_name(f"{path.name}-{name}").unlink()
    backup.replace(path)
    assert lanes_of(sqlite) == ["crm", "ops"]
    add_lane(sqlite, "email")
    other = open_database(sqlite_url)
    assert lanes_of(other) == ["crm", "email", "ops"]
    other.engine.dispose()


def test_a_statement_of_a_read_is_kept_after_an_autocommit_of_sqlalchemys(sqlite) -> None:
    alone = sqlite.engine.execution_options(isolation_level="AUTOCOMMIT")
    with alone.connect() as connection:
        connection.execute(select(Lane.destination))
    with sqlite.read() as connection:
        connection.execute(insert(Lane).values(destination="ops"))
    assert lanes_of(sqlite) == ["ops"]


def test_a_fork_inherits_no_connection_of_sqlite(sqlite) -> None:
    add_lane(sqlite, "ops")
    assert sqlite.engine.pool.checkedin() == 1

    def begins_anew() -> bool:
        inherited = sqlite.engine.pool.checkedin()
        add_lane(sqlite, "crm")
        return inherited == 0

    assert holds_in_a_fork(begins_anew)
    assert lanes_of(sqlite) == ["crm", "ops"]


def test_writes_of_two_databases_on_one_file_take_turns(sqlite, sqlite_url) -> None:
    other = open_database(sqlite_url)
    barred = []

    def write() -> None:
        with other.write(bulk=True) as connection:
            connection.execute(insert(Lane).values(destination="crm"))
            barred.append(holder_has_ended.is_set())

    holder_has_ended = threading.Event()
    thread = threading.Thread(target=write)
    with sqlite.write() as connection:
        thread.start()
        connection.execute(insert(Lane).values(destination="ops"))
        holder_has_ended.set()
    thread.join()
    assert barred == [True]
    assert lanes_of(sqlite) == ["crm", "ops"]
    other.engine.dispose()


def test_a_step_of_bulk_work_is_smaller_where_nobody_else_can_write(sqlite, postgresql) -> None:
    assert sqlite.step(100) < 100
    assert sqlite.step(1) == 1
    assert postgresql.step(100) == 100
