"""Names of the fields that posts to a form had and the form does not declare, with their counts.

Revision: 0016. Follows: 0015.
"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "undeclared_fields",
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("posts", sa.Integer(), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("source", "name", name=op.f("pk_undeclared_fields")),
    )


def downgrade() -> None:
    op.drop_table("undeclared_fields")
