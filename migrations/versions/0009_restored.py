"""Table of restores from a backup, and columns for attempts that may be missing since.

Revision: 0009. Follows: 0008.
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "restorations",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("noticed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("mark_id", sa.Uuid()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_restorations")),
        sa.UniqueConstraint("mark_id", name=op.f("uq_restorations_mark_id")),
    )
    op.add_column("deliveries", sa.Column("unsure_since", sa.DateTime(timezone=True)))
    op.add_column("attempts", sa.Column("earliest_at", sa.DateTime(timezone=True)))
    op.add_column(
        "attempts",
        sa.Column("blind", sa.Boolean(), server_default=sa.text("false"), nullable=False),
    )


def downgrade() -> None:
    op.drop_column("attempts", "blind")
    op.drop_column("attempts", "earliest_at")
    op.drop_column("deliveries", "unsure_since")
    op.drop_table("restorations")
