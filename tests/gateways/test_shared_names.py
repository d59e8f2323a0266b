"""Names that processes of two releases share while a new one is rolled out: they may not change.

A changed one lets old and new processes miss each other's wake-ups, or hold one lock under two
numbers: read both for one release instead.
"""

from uuid import UUID

from sqlalchemy import text

from hub.core import contacts
from hub.core.advisory_locks import advisory_lock
from hub.core.events import projections
from hub.core.ports import EVENTS
from hub.gateways import redis_queue, restore_check
from hub.gateways.database.engine import open_database

HELD = text(
    "SELECT (classid::bigint << 32) | objid::bigint FROM pg_locks "
    "WHERE locktype = 'advisory' AND pid = pg_backend_pid()"
)


def test_the_names_in_redis_are_those_of_the_release_before() -> None:
    hub_id = UUID("1f3a52c0-0000-4000-8000-000000000001")
    names = redis_queue.RedisNames("Acme Roofing", hub_id)
    assert redis_queue.SYNC == "hub.sync"
    assert names.queue("crm") == "acme-roofing-1f3a52c0:crm"
    assert names.queue(EVENTS) == "acme-roofing-1f3a52c0:events"
    assert names.wake_key("crm") == f"hub:{hub_id}:wake:acme-roofing-1f3a52c0:crm"
    assert names.channel == f"hub:{hub_id}:due"
    assert restore_check.SHARED_MARK_KEY == "hub:newest-attempt"
    assert restore_check.mark_key(hub_id) == f"hub:{hub_id}:newest-attempt"


def test_the_numbers_of_the_locks_are_those_of_the_release_before(postgresql_url) -> None:
    database = open_database(postgresql_url, pool_size=1)
    with database.write() as connection:
        contacts.lock_contacts(connection)
        advisory_lock(connection, "account", "stripe")
        held = connection.execute(HELD).scalars()
        assert set(held) == {0x68756266, -1170511544079504661}
    database.engine.dispose()
    assert projections._LEFT_OVER == 0x68756267
