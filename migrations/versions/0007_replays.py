"""Tables of replays and their items, and indexes for lists of deliveries.

Revision: 0007. Follows: 0006.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_JSON = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")
_GOING = sa.text("state IN ('running', 'paused')")
_SET_BACK = sa.text("state IN ('retrying', 'waiting', 'skipped')")
_SUCCEEDED = sa.text("state = 'succeeded'")


def upgrade() -> None:
    op.create_table(
        "replays",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("token", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text()),
        sa.Column("filter", _JSON, nullable=False),
        sa.Column("again", sa.Boolean(), nullable=False),
        sa.Column("per_minute", sa.Integer(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("queued", sa.Integer(), server_default="0", nullable=False),
        sa.Column("moved_on", sa.Integer(), server_default="0", nullable=False),
        sa.Column("left_out", _JSON, nullable=False),
        sa.Column("reached", sa.Uuid()),
        sa.Column("paid_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_replays")),
    )
    op.create_index("uq_replays_token", "replays", ["token"], unique=True)
    op.create_index(
        "uq_replays_going", "replays", ["fingerprint"], unique=True,
        postgresql_where=_GOING, sqlite_where=_GOING,
    )  # fmt: skip
    op.create_table(
        "replay_items",
        sa.Column("replay_id", sa.Uuid(), nullable=False),
        sa.Column("delivery_id", sa.Uuid(), nullable=False),
        sa.Column("plan", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("error", sa.Text()),
        sa.Column("why", sa.Text()),
        sa.Column("queued_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("replay_id", "delivery_id", name=op.f("pk_replay_items")),
        sa.ForeignKeyConstraint(
            ["replay_id"], ["replays.id"], name=op.f("fk_replay_items_replay_id")
        ),
    )
    op.create_index(
        "ix_deliveries_set_back", "deliveries", ["state", "id"],
        postgresql_where=_SET_BACK, sqlite_where=_SET_BACK,
    )  # fmt: skip
    op.create_index(
        "ix_deliveries_succeeded", "deliveries", ["destination", "id"],
        postgresql_where=_SUCCEEDED, sqlite_where=_SUCCEEDED,
    )  # fmt: skip


def downgrade() -> None:
    op.drop_index("ix_deliveries_succeeded", "deliveries")
    op.drop_index("ix_deliveries_set_back", "deliveries")
    op.drop_table("replay_items")
    op.drop_table("replays")
