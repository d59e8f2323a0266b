"""Benchmark row of storage: what an event with three deliveries takes on disk and in the WAL.

Web and worker run as on a quiet day: a few dozen webhooks, their calls, the folding, and again.
What is counted is what the tables, their TOAST and their indexes grow by between two VACUUMs: the
holes that updates leave are used again, as in a database of some age. The WAL is counted twice,
without a checkpoint, and right after one, which makes the server log whole pages.

Beside it the same bodies in a table that has nothing else, one INSERT each, compressed by the
server as PostgreSQL's default is. Sizes depend on no machine's speed: their bars are kilobytes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import psycopg

from tests.bench import floor
from tests.bench.deliveries import CONFIG, ROUTE, ROUTES
from tests.bench.far_end import far_end
from tests.bench.load import Webhooks, press
from tests.bench.report import Row, Target
from tests.bench.stage import Stage
from tests.running import until

WARM_UP, EVENTS = 500, 1000
AT_ONCE = 50
CONCURRENCY = 32
MOST_DISK_KB = 5.5
MOST_WAL_KB = 13.0
# Of a request as the hub stores it, with its headers and indexes, to the bare body.
MOST_RATIO = 0.6

_SIZES = """
SELECT relname, pg_total_relation_size(oid) FROM pg_class
WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
"""
_UNFINISHED = """
SELECT (SELECT count(*) FROM deliveries WHERE finished_at IS NULL)
     + (SELECT count(*) FROM events WHERE NOT folded OR NOT indexed)
"""
_REQUESTS = "inbound_requests"


@dataclass(frozen=True)
class Growth:
    """Growth by one event, in kB: of all tables, of the requests' own, and of the WAL."""

    disk_kb: float
    requests_kb: float
    wal_kb: float


def measure(stage: Stage, *, rounds: int) -> Row:
    """Return the growth by one event, beside that by a bare INSERT of its body."""
    row = Row("storage")
    for _ in range(rounds):
        bare = _bare(stage)
        plain, after_checkpoint = _hub(stage)
        # Holes are used in no even measure, so that twice as many events say more.
        disk_kb = (plain.disk_kb + after_checkpoint.disk_kb) / 2
        row.add("an event with three deliveries", "kB", disk_kb, _at_most(MOST_DISK_KB))
        row.add("its WAL", "kB", plain.wal_kb, _at_most(MOST_WAL_KB))
        row.add("its WAL, right after a checkpoint", "kB", after_checkpoint.wal_kb)
        row.add("of it the request, with its indexes", "kB", plain.requests_kb)
        row.add("the same body alone, by PostgreSQL", "kB", bare.disk_kb)
        row.add("its WAL alone", "kB", bare.wal_kb)
        ratio = plain.requests_kb / bare.disk_kb
        row.add("request ÷ body alone", "×", ratio, _at_most(MOST_RATIO))
    return row


def _at_most(bound: float) -> Target:
    return Target(bound, at_most=True)


def _hub(stage: Stage) -> tuple[Growth, Growth]:
    """Return the growth without a checkpoint, and right after one."""
    config = CONFIG.format(concurrency=CONCURRENCY)
    config += "".join(ROUTE.format(name=name) for name in ROUTES)
    with (
        far_end(stage.folder) as end,
        stage.hub(config, FAR_END=end.url) as hub,
        psycopg.connect(hub.environ["DATABASE_URL"], autocommit=True) as connection,
    ):
        webhooks = Webhooks("stored")
        hub.start("web", "worker")

        def take_in(count: int) -> None:
            for sent in range(0, count, AT_ONCE):
                some = min(AT_ONCE, count - sent)
                pressed = press(hub.port, webhooks.requests(some), seconds=30, connections=8)
                assert pressed.accepted == some, "some webhooks were refused"
                until(lambda: not _one(connection, _UNFINISHED), 60, "the calls and the folding")

        take_in(WARM_UP)
        plain = _grown(connection, take_in)
        connection.execute("CHECKPOINT")
        return plain, _grown(connection, take_in)


def _bare(stage: Stage) -> Growth:
    with (
        stage.database(empty=True) as url,
        psycopg.connect(url, autocommit=True) as connection,
    ):
        connection.execute(floor.TABLE)
        webhooks = Webhooks("stored")

        def insert(count: int) -> None:
            for _ in range(count):
                connection.execute(floor.INSERT, (uuid4(), webhooks.body()[1]))

        insert(WARM_UP)
        return _grown(connection, insert)


def _grown(connection: psycopg.Connection, take_in: Callable[[int], None]) -> Growth:
    """Return what `EVENTS` events add, one by one."""
    before = _sizes(connection)
    start = _one(connection, "SELECT pg_current_wal_insert_lsn()")
    take_in(EVENTS)
    written = "SELECT pg_current_wal_insert_lsn() - %s::pg_lsn"
    wal = _one(connection, written, [start])
    after = _sizes(connection)
    grown = {table: size - before.get(table, 0) for table, size in after.items()}
    each_kb = 1 / EVENTS / 1000
    return Growth(
        sum(grown.values()) * each_kb, grown.get(_REQUESTS, 0) * each_kb, float(wal) * each_kb
    )


def _sizes(connection: psycopg.Connection) -> dict[str, int]:
    """Return the bytes of each table with its TOAST and indexes, after a VACUUM."""
    connection.execute("VACUUM")
    return {name: int(size) for name, size in connection.execute(_SIZES)}


def _one(connection: psycopg.Connection, statement: Any, values: Sequence[Any] = ()) -> Any:
    found = connection.execute(statement, values or None).fetchone()
    assert found is not None
    return found[0]
