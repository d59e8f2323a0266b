"""Lanes of several shards: a row for each holder that a destination may have at once.

Every row that there is becomes the row of shard 0, so that processes of the release before find
their lanes unchanged. On the way down the other rows go; calls that their holders left open are
given the lowest token, by which the next holder of the lane settles them.

Revision: 0013. Follows: 0012.
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

# Of each shard; `hub.core.delivery.lanes` says what they are.
_TOKENS = 2**48
_LANES = sa.table(
    "lanes",
    sa.column("destination", sa.Text()),
    sa.column("shard", sa.Integer()),
    sa.column("token", sa.BigInteger()),
)
_DELIVERIES = sa.table(
    "deliveries", sa.column("state", sa.Text()), sa.column("lane_token", sa.BigInteger())
)


def upgrade() -> None:
    with op.batch_alter_table("lanes") as lanes:
        lanes.add_column(sa.Column("shard", sa.Integer(), server_default="0", nullable=False))
        lanes.add_column(sa.Column("shards", sa.Integer(), server_default="1", nullable=False))
        lanes.add_column(sa.Column("wanted_by", sa.Text()))
        lanes.drop_constraint(op.f("pk_lanes"), type_="primary")
        lanes.create_primary_key(op.f("pk_lanes"), ["destination", "shard"])


def downgrade() -> None:
    _forget_shards()
    with op.batch_alter_table("lanes") as lanes:
        lanes.drop_constraint(op.f("pk_lanes"), type_="primary")
        lanes.create_primary_key(op.f("pk_lanes"), ["destination"])
        lanes.drop_column("wanted_by")
        lanes.drop_column("shards")
        lanes.drop_column("shard")


def _forget_shards() -> None:
    """Delete all rows but those of shard 0, which keep the highest number of any holder.

    A later upgrade makes the rows of the shards anew, and numbers their holders from there.
    """
    other = _LANES.alias("other")
    newest = (
        sa.select(sa.func.max(other.c.token - other.c.shard * sa.literal(_TOKENS, sa.BigInteger())))
        .where(other.c.destination == _LANES.c.destination)
        .scalar_subquery()
    )
    op.execute(_LANES.update().where(_LANES.c.shard == 0).values(token=newest))
    op.execute(_LANES.delete().where(_LANES.c.shard > 0))
    op.execute(
        _DELIVERIES.update()
        .where(_DELIVERIES.c.state == "running", _DELIVERIES.c.lane_token >= _TOKENS)
        .values(lane_token=0)
    )
