"""Columns for evidence about attempts of unknown outcome, the delivery status, and alerts.

Revision: 0003. Follows: 0002.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

JSON = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_HAS_REF = sa.text("provider_ref IS NOT NULL")
_OPEN = sa.text("ended_at IS NULL")


def upgrade() -> None:
    op.add_column("deliveries", sa.Column("status", sa.Text()))
    op.create_index(
        "ix_deliveries_provider_ref",
        "deliveries",
        ["provider_ref"],
        postgresql_where=_HAS_REF,
        sqlite_where=_HAS_REF,
    )
    op.add_column("attempts", sa.Column("closed_by", sa.Text()))
    op.add_column("attempts", sa.Column("seen_ref", sa.Text()))
    op.add_column("attempts", sa.Column("evidence", JSON))
    op.add_column(
        "attempts", sa.Column("absences", sa.Integer(), server_default="0", nullable=False)
    )
    op.add_column("attempts", sa.Column("looked_at", sa.DateTime(timezone=True)))
    op.create_table(
        "alerts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alerts")),
    )
    op.create_index(
        "uq_alerts_open",
        "alerts",
        ["kind", "subject"],
        unique=True,
        postgresql_where=_OPEN,
        sqlite_where=_OPEN,
    )


def downgrade() -> None:
    op.drop_index("uq_alerts_open", "alerts")
    op.drop_table("alerts")
    for column in ("looked_at", "absences", "evidence", "seen_ref", "closed_by"):
        op.drop_column("attempts", column)
    op.drop_index("ix_deliveries_provider_ref", "deliveries")
    op.drop_column("deliveries", "status")
