"""Columns for held leads, and the counters of rate limits.

Revision: 0005. Follows: 0004.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_HELD = sa.text("state = 'held'")


def upgrade() -> None:
    op.add_column("events", sa.Column("held_reason", sa.Text()))
    op.add_column("events", sa.Column("sender", sa.Text()))
    op.create_index("ix_events_held", "events", ["id"], postgresql_where=_HELD, sqlite_where=_HELD)
    op.create_table(
        "limit_counts",
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("slot_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key", "slot_at", name=op.f("pk_limit_counts")),
    )
    op.create_index("ix_limit_counts_ends_at", "limit_counts", ["ends_at"])


def downgrade() -> None:
    op.drop_table("limit_counts")
    op.drop_index("ix_events_held", "events")
    op.drop_column("events", "sender")
    op.drop_column("events", "held_reason")
