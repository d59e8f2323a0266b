"""Retention: indexes for deleting old rows, and marks of what has been deleted.

`events.request_id` and the other columns by which a deletion finds what belongs to it get indexes.
PostgreSQL builds them without stopping webhooks (`CONCURRENTLY`), each in a transaction of its own:
so all statements can be repeated after a run that broke off.

The audit log stays append-only, but for entries from before `hub_identity.audited_from`.

Revision: 0014. Follows: 0013.
"""

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
        op.add_column(
            table,
            sa.Column(column, kind),
            if_not_exists=True if dialect == "postgresql" else None,
        )
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
    for table, column, _ in _COLUMNS:
        op.drop_column(table, column)
