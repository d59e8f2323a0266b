"""Columns for incomplete events (fetched later) and for backfill.

Revision: 0002. Follows: 0001.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_INCOMPLETE = sa.text("state = 'incomplete'")


def upgrade() -> None:
    op.add_column(
        "events",
        sa.Column("backfilled", sa.Boolean(), server_default=sa.text("false"), nullable=False),
    )
    op.create_index(
        "ix_events_incomplete",
        "events",
        ["id"],
        postgresql_where=_INCOMPLETE,
        sqlite_where=_INCOMPLETE,
    )
    op.add_column("source_states", sa.Column("listed_until", sa.DateTime(timezone=True)))
    op.add_column("source_states", sa.Column("listing_at", sa.DateTime(timezone=True)))


def downgrade() -> None:
    op.drop_column("source_states", "listing_at")
    op.drop_column("source_states", "listed_until")
    op.drop_index("ix_events_incomplete", "events")
    op.drop_column("events", "backfilled")
