"""Names that processes of two releases share while a new one is rolled out: they may not change.

A changed one lets old and new processes miss each other's wake-ups, or hold one lock under two
numbers: read both for one release instead.
"""

from sqlalchemy import text

from hub.core import contacts
from hub.core.advisory_locks import advisory_lock
from hub.core.events import projections
from hub.gateways import redis_queue, restore_check
from hub.gateways.database.engine import open_database
from hub.worker.rq_worker import JOBS

HELD = text(
    "SELECT (classid::bigint << 32) | objid::bigint FROM pg_locks "
    "WHERE locktype = 'advisory' AND pid = pg_backend_pid()"
)


def test_the_names_in_redis_are_those_of_the_release_before() -> None:
    assert redis_queue.QUEUE == "hub"
    assert redis_queue.DRAIN == "hub.jobs.drain.drain"
    assert redis_queue.WAKE_KEY == "hub:wake"
    assert redis_queue.CHANNEL == "hub:due"
    assert restore_check.SHARED_MARK_KEY == "hub:newest-attempt"
    assert list(JOBS) == [redis_queue.DRAIN]


def test_the_numbers_of_the_locks_are_those_of_the_release_before(postgresql_url) -> None:
    database = open_database(postgresql_url, pool_size=1)
    with database.write() as connection:
        contacts.lock_contacts(connection)
        advisory_lock(connection, "account", "stripe")
        held = connection.execute(HELD).scalars()
        assert set(held) == {0x68756266, -1170511544079504661}
    database.engine.dispose()
    assert projections._LEFT_OVER == 0x68756267
