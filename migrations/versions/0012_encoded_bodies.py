"""Bodies that are encoded, and the time from which on they may be.

A database that holds requests, or lanes, which every process makes when it starts, may be served by
processes of the release before this one, which cannot decode: its bodies are encoded from a day
later on. A new one has none of those.

Downgrading decodes every body, one after the other: it takes as long as reading them all.

Revision: 0012. Follows: 0011.
"""

from contextlib import suppress
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from alembic import op

from hub.core.errors import DamagedBody
from hub.core.models.body_encoding import MARK, decode_body

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

ROLLED_OUT_WITHIN = timedelta(days=1)
_CHUNK = 500

_REQUESTS = sa.table(
    "inbound_requests", sa.column("id", sa.Uuid()), sa.column("body", sa.LargeBinary())
)
_LANES = sa.table("lanes", sa.column("destination", sa.Text()))
_IDENTITY = sa.table("hub_identity", sa.column("encodes_from", sa.DateTime(timezone=True)))


def upgrade() -> None:
    op.add_column("hub_identity", sa.Column("encodes_from", sa.DateTime(timezone=True)))
    connection = op.get_bind()
    used = sa.union_all(
        sa.select(sa.literal(1)).where(sa.exists(sa.select(_REQUESTS.c.id))),
        sa.select(sa.literal(1)).where(sa.exists(sa.select(_LANES.c.destination))),
    )
    is_new = connection.execute(used).first() is None
    start = datetime.now(UTC) + (timedelta() if is_new else ROLLED_OUT_WITHIN)
    connection.execute(sa.update(_IDENTITY).values(encodes_from=start))


def downgrade() -> None:
    connection = op.get_bind()
    # What begins with MARK, as a range.
    after = MARK[:-1] + bytes([MARK[-1] + 1])
    encoded = (_REQUESTS.c.body >= MARK) & (_REQUESTS.c.body < after)
    ids = connection.execute(sa.select(_REQUESTS.c.id).where(encoded)).scalars().all()
    for first in range(0, len(ids), _CHUNK):
        some = _REQUESTS.c.id.in_(ids[first : first + _CHUNK])
        for row in connection.execute(sa.select(_REQUESTS).where(some)).all():
            mine = _REQUESTS.c.id == row.id
            with suppress(DamagedBody):  # its bytes are all that is left: they stay
                decoded = decode_body(row.body)
                connection.execute(sa.update(_REQUESTS).where(mine).values(body=decoded))
    op.drop_column("hub_identity", "encodes_from")
