"""Migrations: up, down and up again on both databases, and the query plans of their indexes."""

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import (
    Connection,
    Engine,
    create_engine,
    event,
    insert,
    inspect,
    literal,
    select,
    text,
    update,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.pool import NullPool

from hub.core.configuration import Destination
from hub.core.delivery.claim import DUE
from hub.core.delivery.lanes import acquire, ensure, release
from hub.core.delivery.record import orphans
from hub.core.delivery.restore_detection import (
    Watermark,
    is_missing,
    loss_windows,
    note_restored,
)
from hub.core.delivery.shards import ensure_shards
from hub.core.ids import LAST_ID, new_id
from hub.core.inbound.ingest import new_request_row
from hub.core.models import (
    Alert,
    Attempt,
    Base,
    Delivery,
    HubIdentity,
    Restoration,
    StoredRequest,
)
from hub.core.models.body_encoding import MARK, encode_body
from hub.core.models.events import SEARCH_TABLE
from hub.gateways.database.engine import open_database
from hub.gateways.database.migrations import MIGRATIONS, downgrade, revisions, upgrade
from tests.core.making import (
    NOW,
    Town,
    lease_of,
    make_due,
    request,
    until_somebody_waits,
)
from tests.running import ROOT

TABLES = set(Base.metadata.tables)


@pytest.fixture
def engine(database_url):
    database = open_database(database_url, pool_size=2)
    yield database.engine
    database.engine.dispose()


def tables_of(engine: Engine) -> set[str]:
    names = set(inspect(engine).get_table_names()) - {"alembic_version"}
    return {name for name in names if has_model(name, "table", {})}


def has_model(name: str | None, kind: str, _: object) -> bool:
    """Return whether a table is a model's: the search and SQLite's shadow tables are not."""
    return kind != "table" or not (name or "").startswith(SEARCH_TABLE)


def drift(engine: Engine) -> list[object]:
    with engine.connect() as connection:
        options = {"compare_type": True, "include_name": has_model}
        context = MigrationContext.configure(connection, opts=options)
        return list(compare_metadata(context, Base.metadata))


def test_there_is_one_head() -> None:
    assert len(ScriptDirectory(str(MIGRATIONS)).get_heads()) == 1


def test_the_tables_come_go_and_come_again(engine, database_url) -> None:
    assert tables_of(engine) == TABLES
    downgrade(database_url, "base")
    assert tables_of(engine) == set()
    with engine.connect() as connection:
        assert revisions(connection)[0] is None
    upgrade(database_url)
    assert tables_of(engine) == TABLES
    with engine.connect() as connection:
        current, newest = revisions(connection)
    assert current == newest
    assert drift(engine) == []


def test_what_is_searched_comes_and_goes_with_the_tables(engine, database_url) -> None:
    found = text(f"SELECT count(*) FROM {SEARCH_TABLE}")
    with engine.connect() as connection:
        assert connection.execute(found).scalar_one() == 0
    downgrade(database_url, "0007")
    assert not [name for name in inspect(engine).get_table_names() if SEARCH_TABLE in name]


def identity_of(engine: Engine) -> tuple[UUID, bool]:
    with engine.connect() as connection:
        row = connection.execute(select(HubIdentity)).one()
    assert (row.public_url, row.noted_at) == (None, None)
    return row.hub_id, row.inherits_mark


def test_every_new_database_has_an_id_of_its_own(engine, database_url) -> None:
    first, inherits = identity_of(engine)
    downgrade(database_url, "base")
    upgrade(database_url)
    second, _ = identity_of(engine)
    assert first != second
    assert first.version == second.version == 4
    assert not inherits, "a new database beside an old Redis has lost nothing"


def test_a_backup_from_before_identities_gets_the_same_id_again(engine, database_url) -> None:
    """Otherwise what is missing from it would be known under another id, and not be noticed."""
    with engine.begin() as connection:
        attempt_id = town_with_an_attempt(connection)
    downgrade(database_url, "0010")
    upgrade(database_url)
    found = identity_of(engine)
    assert found == (identity_of(engine)[0], True)
    with engine.begin() as connection:
        later = {"id": LAST_ID, "n": 2, "state": "accepted"}
        again = select(*Attempt.__table__.columns).where(Attempt.id == attempt_id)
        row = dict(connection.execute(again).mappings().one())
        connection.execute(insert(Attempt).values(row | later))
    downgrade(database_url, "0010")
    upgrade(database_url)
    assert identity_of(engine) == found


def town_with_an_attempt(connection: Connection) -> UUID:
    town = Town()
    town.take_in(connection, {"id": "e1"})
    make_due(connection)
    [claimed] = town.claim(connection, lease_of(connection))
    return claimed.attempt_id


def test_lanes_become_those_of_shard_0_and_again_one_for_each_destination(
    engine, database_url
) -> None:
    """The calls of other shards are left to the next holder, and no token comes twice."""
    downgrade(database_url, "0012")
    with engine.begin() as connection:
        connection.execute(
            text("INSERT INTO lanes (destination, token, holder) VALUES ('ops', 7, 'x')")
        )
    upgrade(database_url)
    two = Destination("ops", "http", {}, shards=2)
    with engine.begin() as connection:
        [row] = connection.execute(text("SELECT shard, shards, token, holder FROM lanes")).all()
        assert tuple(row) == (0, 1, 7, "x")
        town = Town()
        town.take_in(connection, {"id": "e1"})
        ensure_shards(connection, [two])
        connection.execute(text("UPDATE lanes SET token = token + 9 WHERE shard = 1"))
        [earlier] = acquire(connection, "y", ["ops"], most=2, shards=2)
        assert (earlier.to_settle, earlier.token) == (True, 8)
        release(connection, earlier)
        [other] = acquire(connection, "y", ["ops"], most=1, shards=2, among=[1])
        assert len(town.claim(connection, other)) == 1
    downgrade(database_url, "0012")
    with engine.begin() as connection:
        assert connection.execute(text("SELECT token FROM lanes")).scalars().all() == [17]
        assert connection.execute(text("SELECT lane_token FROM deliveries")).scalar_one() == 0
    upgrade(database_url)
    with engine.begin() as connection:
        ensure_shards(connection, [two])
        [first] = acquire(connection, "z", ["ops"], most=2, shards=2)
        assert len(orphans(connection, first)) == 1
        newest = text("SELECT token FROM lanes WHERE shard = 1")
        assert connection.execute(newest).scalar_one() >= other.token


def test_indexes_of_large_tables_are_built_beside_the_traffic(postgresql_url) -> None:
    """A writer that began before holds the build up, and the build holds no other writer up."""
    database = open_database(postgresql_url, pool_size=4)
    downgrade(postgresql_url, "0013")
    first, second = (
        insert(StoredRequest.__table__).from_select(
            ["id", "source", "state", "received_at", "method", "url", "headers", "size_bytes",
             "conflict"],
            select(literal(new_id(NOW)), *(literal(one) for one in ("x", "accepted")),
                   literal(NOW), *(literal(one) for one in ("POST", "/")),
                   literal({}, StoredRequest.headers.type), literal(1), literal(False)),
        )
        for _ in range(2)
    )  # fmt: skip
    with ThreadPoolExecutor(1) as pool:
        with database.engine.begin() as before:
            before.execute(
                text("INSERT INTO lead_links VALUES ('\\x00', gen_random_uuid(), 'd', now())")
            )
            building = pool.submit(upgrade, postgresql_url)
            until_somebody_waits(database, or_has_ended=building)
            assert not building.done()
            for statement in (first, second):
                with database.write() as connection:
                    connection.execute(statement)
        building.result(timeout=60)
    assert drift(database.engine) == []
    database.engine.dispose()


def test_a_migration_that_broke_off_is_repeated(postgresql_url) -> None:
    """Steps that are done already stay, and an index that is not valid is built anew."""
    downgrade(postgresql_url, "0014")
    engine = create_engine(postgresql_url, poolclass=NullPool)
    with engine.connect() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0013'"))
        connection.execute(
            text("UPDATE pg_index SET indisvalid = false "
                 "WHERE indexrelid = 'ix_events_request_id'::regclass")
        )  # fmt: skip
        connection.commit()
    upgrade(postgresql_url)
    invalid = text("SELECT count(*) FROM pg_index WHERE NOT indisvalid")
    with engine.connect() as connection:
        assert connection.execute(invalid).scalar_one() == 0
    assert drift(engine) == []


def test_migrations_that_start_together_run_one_after_the_other(own_postgresql_url) -> None:
    downgrade(own_postgresql_url, "0013")
    call = "import sys; from hub.gateways.database.migrations import upgrade; upgrade(sys.argv[1])"
    together = [
        subprocess.Popen([sys.executable, "-c", call, own_postgresql_url], cwd=ROOT)
        for _ in range(3)
    ]
    assert [process.wait(60) for process in together] == [0, 0, 0]
    engine = create_engine(own_postgresql_url, poolclass=NullPool)
    assert drift(engine) == []


def test_a_second_identity_is_refused(engine) -> None:
    with engine.connect() as connection:
        row = connection.execute(select(*HubIdentity.__table__.columns)).mappings().one()
        second = insert(HubIdentity).values(dict(row) | {"id": 2})
        with pytest.raises(IntegrityError):
            connection.execute(second)


def test_an_upgrade_of_what_is_up_to_date_changes_nothing(engine, database_url) -> None:
    with engine.begin() as connection:
        ensure(connection, ["ops"])
    upgrade(database_url)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT destination FROM lanes")).scalars().all() == ["ops"]


def test_the_migrated_tables_are_those_of_the_models(engine) -> None:
    assert drift(engine) == []


def test_a_column_that_is_missing_would_be_noticed(engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE lanes DROP COLUMN setbacks"))
    assert drift(engine) != []


def test_the_indexes_for_what_is_due_and_running_hold_nothing_else(engine) -> None:
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            found = text("SELECT name, sql FROM sqlite_master WHERE tbl_name = 'deliveries'")
        else:
            found = text("SELECT indexname, indexdef FROM pg_indexes")
        made = {name: sql or "" for name, sql in connection.execute(found)}
    conditions = {name: sql.partition(" WHERE ")[2] for name, sql in made.items()}
    due = conditions["ix_deliveries_due"]
    assert all(f"'{state}'" in due for state in ("waiting", "pending", "retrying"))
    assert due.count("'") == 6
    assert "'running'" in conditions["ix_deliveries_running"]


def test_the_planner_finds_due_deliveries_by_their_index(engine) -> None:
    with engine.connect() as connection, said_to(connection) as said:
        connection.execute(DUE, {"destination": "ops", "most": 8})
        plan = explain(connection, *said[-1])
    assert "ix_deliveries_due" in plan
    assert "SCAN deliveries" not in plan


def test_the_planner_finds_lanes_with_work_by_the_indexes(engine) -> None:
    with engine.connect() as connection, said_to(connection) as said:
        ensure(connection, ["ops", "crm"])
        acquire(connection, "me", ["ops", "crm"], most=2)
        plan = explain(connection, *said[-1])
    assert "ix_deliveries_due" in plan
    assert "ix_deliveries_running" in plan
    assert "SCAN deliveries" not in plan


@contextmanager
def said_to(connection: Connection) -> Iterator[list[tuple[str, object]]]:
    """Yield the list of statements, each with its parameters, that are sent to the database."""
    said: list[tuple[str, object]] = []
    event.listen(
        connection, "before_cursor_execute", lambda *called: said.append((called[2], called[3]))
    )
    yield said
    connection.rollback()


def explain(connection: Connection, statement: str, parameters: object) -> str:
    """Return the database's plan for a statement, as if its tables were large."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SET LOCAL enable_seqscan = off"))
        connection.execute(text("SET LOCAL enable_bitmapscan = off"))
        connection.execute(text("SET LOCAL enable_sort = off"))
        explained = f"EXPLAIN {statement}"
    else:
        explained = f"EXPLAIN QUERY PLAN {statement}"
    rows = connection.exec_driver_sql(explained, parameters)
    return "\n".join(str(row[-1]) for row in rows)


def test_a_database_in_use_encodes_bodies_a_day_later_and_a_new_one_at_once(
    engine, database_url
) -> None:
    """For a day processes of the release before may read them, and cannot decode."""
    now = datetime.now(UTC)
    for has_requests, after in ((False, timedelta()), (True, timedelta(days=1))):
        downgrade(database_url, "0011")
        if has_requests:
            with engine.begin() as connection:
                Town().take_in(connection, {"id": "e1"})
        upgrade(database_url)
        with engine.connect() as connection:
            start = connection.execute(select(HubIdentity.encodes_from)).scalar_one()
        assert now + after <= start <= datetime.now(UTC) + after


def test_a_downgrade_decodes_the_bodies(engine, database_url) -> None:
    bodies = [b"plain", b"please call me " * 99, bytes(500), MARK + b"forged", b"\x00\xffhuc", None]
    with engine.begin() as connection:
        for n, body in enumerate(bodies):
            row = new_request_row("provider", request(at=NOW + timedelta(seconds=n)), signed_by="s")
            stored = None if body is None else encode_body(body)
            connection.execute(insert(StoredRequest).values(row | {"body": stored}))
    downgrade(database_url, "0011")
    with engine.connect() as connection:
        found = text("SELECT body FROM inbound_requests ORDER BY received_at")
        assert [
            None if one is None else bytes(one) for one in connection.execute(found).scalars()
        ] == bodies
    upgrade(database_url)


def test_a_downgrade_keeps_what_tells_that_rows_were_deleted(engine, database_url) -> None:
    """Nothing else tells: neither a call that a backup lacks, nor a body that was never kept."""
    deleted = Watermark(new_id(NOW), NOW)
    with engine.begin() as connection:
        town_with_an_attempt(connection)
        connection.execute(
            update(HubIdentity).values(audited_from=NOW, attempts_deleted_until=deleted.attempt_id)
        )
        connection.execute(update(StoredRequest).values(body=None, body_deleted_at=NOW))
    for _ in range(2):
        downgrade(database_url, "0013")
        with engine.connect() as connection:
            known = connection.execute(select(Restoration.mark_id, Restoration.noticed_at)).all()
        assert [row.mark_id for row in known] == [deleted.attempt_id]
        upgrade(database_url)
        assert drift(engine) == []
    with engine.begin() as connection:
        identity = connection.execute(select(HubIdentity)).one()
        assert (identity.audited_from, identity.attempts_deleted_until) == (
            NOW,
            deleted.attempt_id,
        )
        assert connection.scalar(select(StoredRequest.body_deleted_at)) == NOW
        assert not is_missing(connection, deleted, now=NOW)
        # A process of the release before knows none of these columns, and asks this alone.
        assert not note_restored(connection, since=NOW, now=NOW, actor="hub", mark=deleted)
        assert loss_windows(connection, now=NOW) == []
        assert connection.scalar(select(Alert.id)) is None
        assert connection.scalar(select(Delivery.unsure_since)) is None
