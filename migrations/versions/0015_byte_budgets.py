"""Byte budgets of sources: what was kept today of requests that nobody vouches for.

Processes of the release before count nothing there; what they keep is not part of the budget.

Revision: 0015. Follows: 0014.
"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("source_states") as states:
        states.add_column(sa.Column("budget_day_at", sa.DateTime(timezone=True)))
        states.add_column(
            sa.Column("budget_bytes", sa.BigInteger(), server_default="0", nullable=False)
        )
        states.add_column(
            sa.Column("over_budget", sa.Integer(), server_default="0", nullable=False)
        )


def downgrade() -> None:
    with op.batch_alter_table("source_states") as states:
        states.drop_column("over_budget")
        states.drop_column("budget_bytes")
        states.drop_column("budget_day_at")
