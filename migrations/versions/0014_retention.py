"""Retention: indexes for deleting old rows, and marks of what has been deleted.

`events.request_id` and the other columns by which a deletion finds what belongs to it get indexes.
PostgreSQL builds them without stopping webhooks (`CONCURRENTLY`), each in a transaction of its own:
so all statements can be repeated after a run that broke off.

The audit log stays append-only, but for entries from before `hub_identity.audited_from`.

Downgrading keeps the marks of what has been deleted, which nothing else tells: without them a
deleted call would be taken for one that a backup lacks, and a deleted body for one that never was.
The newest deleted call is also noted as a restoration that is known, for processes of the release
before, and for the time after `hub_identity` itself came and went.

Revision: 0014. Follows: 0013.
"""

from datetime import UTC, datetime
from uuid import uuid4

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_COLUMNS = (
    ("inbound_requests", "body_deleted_at", sa.DateTime(timezone=True)),
    ("config_versions", "last_seen_at", sa.DateTime(timezone=True)),
    ("hub_identity", "audited_from", sa.DateTime(timezone=True)),
    ("hub_identity", "attempts_deleted_until", sa.Uuid()),
)
_IDENTITY = sa.table("hub_identity", sa.column("attempts_deleted_until", sa.Uuid()))
_RESTORATIONS = sa.table(
    "restorations",
    sa.column("id", sa.Uuid()),
    sa.column("since", sa.DateTime(timezone=True)),
    sa.column("noticed_at", sa.DateTime(timezone=True)),
    sa.column("mark_id", sa.Uuid()),
)
# So long ago that it opens no loss window.
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
_INDEXES = (
    ("ix_events_request_id", "events", "request_id", ""),
    ("ix_event_keys_event_id", "event_keys", "event_id", ""),
    ("ix_lead_links_event_id", "lead_links", "event_id", ""),
    ("ix_inbound_requests_whole", "inbound_requests", "id", "WHERE body_deleted_at IS NULL"),
    ("ix_attempts_message", "attempts", "id", "WHERE message <> ''"),
)
_STAYS = "the audit log is only ever added to"
_OLD = "OLD.at < (SELECT audited_from FROM hub_identity)"
_REFUSE = f"RAISE EXCEPTION '{_STAYS}' USING ERRCODE = 'restrict_violation'"
_SOME_GO = {
    "sqlite": [
        "DROP TRIGGER audit_log_deleted",
        "CREATE TRIGGER audit_log_deleted BEFORE DELETE ON audit_log "
        f"WHEN NOT coalesce({_OLD}, false) BEGIN SELECT RAISE(ABORT, '{_STAYS}'); END",
    ],
    "postgresql": [
        "DROP TRIGGER IF EXISTS audit_log_stays ON audit_log",
        "DROP TRIGGER IF EXISTS audit_log_keeps ON audit_log",
        "CREATE TRIGGER audit_log_stays BEFORE UPDATE OR TRUNCATE ON audit_log "
        "FOR EACH STATEMENT EXECUTE FUNCTION audit_log_stays()",
        "CREATE OR REPLACE FUNCTION audit_log_keeps() RETURNS trigger LANGUAGE plpgsql AS $$ "
        f"BEGIN IF {_OLD} THEN RETURN OLD; END IF; {_REFUSE}; END $$",
        "CREATE TRIGGER audit_log_keeps BEFORE DELETE ON audit_log "
        "FOR EACH ROW EXECUTE FUNCTION audit_log_keeps()",
    ],
}
_ALL_STAY = {
    "sqlite": [
        "DROP TRIGGER audit_log_deleted",
        "CREATE TRIGGER audit_log_deleted BEFORE DELETE ON audit_log "
        f"BEGIN SELECT RAISE(ABORT, '{_STAYS}'); END",
    ],
    "postgresql": [
        "DROP TRIGGER IF EXISTS audit_log_keeps ON audit_log",
        "DROP FUNCTION IF EXISTS audit_log_keeps()",
        "DROP TRIGGER IF EXISTS audit_log_stays ON audit_log",
        "CREATE TRIGGER audit_log_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log "
        "FOR EACH STATEMENT EXECUTE FUNCTION audit_log_stays()",
    ],
}


def upgrade() -> None:
    dialect = op.get_bind().dialect.name
    for table, column, kind in _COLUMNS:
        known = sa.inspect(op.get_bind()).get_columns(table)
        if column not in {one["name"] for one in known}:
            op.add_column(table, sa.Column(column, kind))
    for statement in _SOME_GO[dialect]:
        op.execute(statement)
    if dialect == "sqlite":
        for name, table, column, where in _INDEXES:
            op.execute(f"CREATE INDEX {name} ON {table} ({column}) {where}")
        return
    with op.get_context().autocommit_block():
        op.execute("SET statement_timeout = 0")
        for name, table, column, where in _INDEXES:
            # A run that broke off may have left an index that is not valid.
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
            op.execute(f"CREATE INDEX CONCURRENTLY {name} ON {table} ({column}) {where}")
        op.execute("RESET statement_timeout")


def downgrade() -> None:
    dialect = op.get_bind().dialect.name
    for name, *_ in _INDEXES:
        op.execute(f"DROP INDEX {'IF EXISTS ' if dialect == 'postgresql' else ''}{name}")
    for statement in _ALL_STAY[dialect]:
        op.execute(statement)
    # Versions of routes that are in force from now on would not be noted there.
    op.drop_column("config_versions", "last_seen_at")
    _note_deleted()


def _note_deleted() -> None:
    """Note the newest deleted call as a restoration of long ago, unless that is done already."""
    connection = op.get_bind()
    deleted = connection.execute(sa.select(_IDENTITY.c.attempts_deleted_until)).scalar_one_or_none()
    is_it = _RESTORATIONS.c.mark_id == deleted
    if deleted and not connection.execute(sa.select(_RESTORATIONS.c.id).where(is_it)).first():
        row = {"id": uuid4(), "since": _LONG_AGO, "noticed_at": _LONG_AGO, "mark_id": deleted}
        connection.execute(sa.insert(_RESTORATIONS).values(row))
