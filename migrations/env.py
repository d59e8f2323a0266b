"""Alembic environment, on an open connection given by `hub.gateways.database.migrations`."""

from alembic import context
from sqlalchemy import text

from hub.core.models import Base

connection = context.config.attributes["connection"]
sqlite = connection.dialect.name == "sqlite"
context.configure(
    connection=connection,
    target_metadata=Base.metadata,
    render_as_batch=sqlite,
    compare_type=True,
)
with context.begin_transaction():
    if not sqlite:  # serialize migrations that are started at the same time
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('hub.migrations'))"))
    context.run_migrations()
connection.commit()
