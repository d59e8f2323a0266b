"""Alembic environment, on an open connection given by `hub.gateways.database.migrations`."""

import time

from alembic import context
from sqlalchemy import Connection, text

from hub.core.models import Base

ASKS_EVERY_S = 0.1


def wait_for_turn(connection: Connection) -> None:
    """Wait until no other process migrates: migrations that start at the same time are serialized.

    The lock is the session's: an index that is built `CONCURRENTLY` needs several transactions. It
    is asked for again and again, since such an index waits for every statement that is under way.
    """
    lock = text("SELECT pg_try_advisory_lock(hashtext('hub.migrations'))")
    while not connection.execute(lock).scalar_one():
        connection.commit()
        time.sleep(ASKS_EVERY_S)
    connection.commit()


connection = context.config.attributes["connection"]
sqlite = connection.dialect.name == "sqlite"
context.configure(
    connection=connection,
    target_metadata=Base.metadata,
    render_as_batch=sqlite,
    compare_type=True,
)
if not sqlite:
    wait_for_turn(connection)
with context.begin_transaction():
    context.run_migrations()
connection.commit()
