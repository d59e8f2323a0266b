"""Tables of assignments, escalation steps, acknowledgements and acknowledgement links.

Revision: 0006. Follows: 0005.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_OPEN = sa.text("closed_at IS NULL")


def upgrade() -> None:
    op.create_table(
        "assignments",
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("assign", sa.Text(), nullable=False),
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("rule", sa.Integer(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("event_id", "assign", name=op.f("pk_assignments")),
        sa.UniqueConstraint("n", name=op.f("uq_assignments_n")),
    )
    op.create_index("ix_assignments_person", "assignments", ["person", "assign", "n"])
    op.create_table(
        "tellings",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("route", sa.Text(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("assign", sa.Text(), nullable=False),
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("delivery_id", sa.Uuid(), nullable=False),
        sa.Column("after_s", sa.Double(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True)),
        sa.Column("closed_at", sa.DateTime(timezone=True)),
        sa.Column("ended", sa.Text()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tellings")),
        sa.UniqueConstraint("event_id", "route", "n", name=op.f("uq_tellings_event_id_route_n")),
        sa.UniqueConstraint("delivery_id", name=op.f("uq_tellings_delivery_id")),
    )
    op.create_index("ix_tellings_person", "tellings", ["person", "created_at"])
    op.create_index(
        "ix_tellings_open", "tellings", ["due_at"], postgresql_where=_OPEN, sqlite_where=_OPEN
    )
    op.create_table(
        "acknowledgements",
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("person", sa.Text()),
        sa.Column("name", sa.Text()),
        sa.Column("how", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_acknowledgements")),
    )
    op.create_table(
        "lead_links",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_lead_links")),
    )


def downgrade() -> None:
    op.drop_table("lead_links")
    op.drop_table("acknowledgements")
    op.drop_table("tellings")
    op.drop_table("assignments")
