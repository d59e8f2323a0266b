"""Table of the hub's identity, with its only row: the id is made with the database.

Of a database with attempts, the id is derived from the oldest one. So a backup of the tables before
this migration gets the same id again when it is restored and migrated, and the watermark that is
kept in Redis under this id shows that attempts are missing.

Revision: 0011. Follows: 0010.
"""

import hashlib
from datetime import UTC, datetime
from uuid import UUID, uuid4

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_ATTEMPTS = sa.table("attempts", sa.column("id", sa.Uuid()))


def upgrade() -> None:
    identity = op.create_table(
        "hub_identity",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("hub_id", sa.Uuid(), nullable=False),
        sa.Column("public_url", sa.Text()),
        sa.Column("noted_at", sa.DateTime(timezone=True)),
        sa.Column("inherits_mark", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hub_identity")),
        sa.CheckConstraint("id = 1", name=op.f("ck_hub_identity_only_one")),
    )
    oldest = sa.select(_ATTEMPTS.c.id).order_by(_ATTEMPTS.c.id).limit(1)
    attempt_id = op.get_bind().execute(oldest).scalar_one_or_none()
    row = {
        "id": 1,
        "hub_id": uuid4() if attempt_id is None else _id_from(attempt_id),
        "inherits_mark": attempt_id is not None,
        "created_at": datetime.now(UTC),
    }
    op.bulk_insert(identity, [row])


def downgrade() -> None:
    op.drop_table("hub_identity")


def _id_from(attempt_id: UUID) -> UUID:
    digest = hashlib.sha256(b"hub of attempt " + attempt_id.bytes).digest()
    return UUID(bytes=digest[:16], version=4)
