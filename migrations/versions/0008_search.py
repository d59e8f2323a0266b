"""Search index of events, indexes for lists of events, and edited copies.

Revision: 0008. Follows: 0007.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

JSON = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")

_VIEWED = sa.text("action = 'view.personal'")


def _index_of_ids(name: str, condition: str) -> None:
    where = sa.text(condition)
    op.create_index(name, "events", ["id"], postgresql_where=where, sqlite_where=where)


def upgrade() -> None:
    op.add_column(
        "events",
        sa.Column("indexed", sa.Boolean(), server_default=sa.text("false"), nullable=False),
    )
    _index_of_ids("ix_events_unindexed", "NOT indexed")
    _index_of_ids("ix_events_unmatched", "state = 'unmatched'")
    _index_of_ids("ix_events_test", "NOT live")
    op.create_index(
        "ix_audit_log_views",
        "audit_log",
        ["actor", "subject", "at"],
        postgresql_where=_VIEWED,
        sqlite_where=_VIEWED,
    )
    op.create_table(
        "event_copies",
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("original_id", sa.Uuid(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changes", JSON, nullable=False),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_event_copies")),
        sa.ForeignKeyConstraint(["event_id"], ["events.id"], name=op.f("fk_event_copies_event_id")),
        sa.ForeignKeyConstraint(
            ["original_id"], ["events.id"], name=op.f("fk_event_copies_original_id")
        ),
    )
    op.create_index("ix_event_copies_original_id", "event_copies", ["original_id", "event_id"])
    if op.get_bind().dialect.name == "sqlite":
        op.execute(
            "CREATE VIRTUAL TABLE event_search USING fts5(event_id UNINDEXED, words, "
            "tokenize=\"unicode61 remove_diacritics 0 tokenchars '@._-+~='\")"
        )
        return
    op.create_table(
        "event_search",
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("words", postgresql.TSVECTOR(), nullable=False),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_event_search")),
    )
    op.create_index(
        "ix_event_search_words",
        "event_search",
        ["words"],
        postgresql_using="gin",
        # In KiB: every search scans the entries that are not yet merged into the index.
        postgresql_with={"gin_pending_list_limit": 256},
    )


def downgrade() -> None:
    op.drop_table("event_search")
    op.drop_table("event_copies")
    op.drop_index("ix_audit_log_views", "audit_log")
    for name in ("ix_events_test", "ix_events_unmatched", "ix_events_unindexed"):
        op.drop_index(name, "events")
    op.drop_column("events", "indexed")
