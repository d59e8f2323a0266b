"""Tables of users, sessions, recovery codes, tickets and the throttle; append-only audit log.

Revision: 0004. Follows: 0003.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_STAYS = "the audit log is only ever added to"
_APPEND_ONLY = {
    "sqlite": [
        f"CREATE TRIGGER audit_log_{name} BEFORE {change} ON audit_log "
        f"BEGIN SELECT RAISE(ABORT, '{_STAYS}'); END"
        for name, change in (("changed", "UPDATE"), ("deleted", "DELETE"))
    ],
    "postgresql": [
        "CREATE FUNCTION audit_log_stays() RETURNS trigger LANGUAGE plpgsql AS $$ "
        f"BEGIN RAISE EXCEPTION '{_STAYS}' USING ERRCODE = 'restrict_violation'; END $$",
        "CREATE TRIGGER audit_log_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log "
        "FOR EACH STATEMENT EXECUTE FUNCTION audit_log_stays()",
    ],
}
# SQLite drops a table's triggers if it is altered by copying (batch mode): never alter this table
# that way.
_OPEN_AGAIN = {
    "sqlite": ["DROP TRIGGER audit_log_changed", "DROP TRIGGER audit_log_deleted"],
    "postgresql": [
        "DROP TRIGGER audit_log_stays ON audit_log",
        "DROP FUNCTION audit_log_stays()",
    ],
}


def upgrade() -> None:
    op.create_table(
        "users",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("sees_personal", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("password_hash", sa.Text()),
        sa.Column("totp_secret", sa.Text()),
        sa.Column("totp_step", sa.Integer()),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("signed_in_at", sa.DateTime(timezone=True)),
        sa.Column("disabled_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
    )
    op.create_index("uq_users_name", "users", ["name"], unique=True)
    op.create_table(
        "sessions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("proved_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
        sa.Column("address", sa.Text()),
        sa.Column("agent", sa.Text()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sessions")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_sessions_user_id")),
    )
    op.create_index("uq_sessions_digest", "sessions", ["digest"], unique=True)
    op.create_index("ix_sessions_user_id", "sessions", ["user_id", "id"])
    op.create_table(
        "recovery_codes",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("user_id", "digest", name=op.f("pk_recovery_codes")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_recovery_codes_user_id")),
    )
    op.create_table(
        "tickets",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Uuid()),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_tickets")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_tickets_user_id")),
    )
    op.create_index("ix_tickets_user_id", "tickets", ["user_id", "purpose"])
    op.create_index("ix_tickets_ends_at", "tickets", ["ends_at"])
    op.create_table(
        "sign_in_tries",
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("free_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_sign_in_tries")),
    )
    op.create_index("ix_sign_in_tries_last_at", "sign_in_tries", ["last_at"])
    for column in ("actor", "action", "subject"):
        op.create_index(f"ix_audit_log_{column}", "audit_log", [column, "id"])
    for statement in _APPEND_ONLY[op.get_bind().dialect.name]:
        op.execute(statement)


def downgrade() -> None:
    for statement in _OPEN_AGAIN[op.get_bind().dialect.name]:
        op.execute(statement)
    for column in ("actor", "action", "subject"):
        op.drop_index(f"ix_audit_log_{column}", "audit_log")
    for table in ("sign_in_tries", "tickets", "recovery_codes"):
        op.drop_table(table)
    op.drop_table("sessions")
    op.drop_table("users")
