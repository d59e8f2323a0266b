"""Audit log queries (newest first, filtered), and entries for views of personal data.

Views of one subject by one user are recorded at most once an hour.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, select

from hub.core.audit import record_action
from hub.core.auth.roles import Principal
from hub.core.models import AuditEntry, HubIdentity

FILTERS = ("actor", "action", "subject")
MOST_ROWS = 1000
MOST_EXPORTED = 50_000
ACTION = "view.personal"
AGAIN_AFTER = timedelta(hours=1)


def list_entries(
    connection: Connection,
    *,
    filters: Mapping[str, str],
    limit: int,
    before: UUID | None = None,
) -> list[dict[str, Any]]:
    """Return audit log entries, newest first: `id at actor action subject reason detail`.

    `filters` has keys of `FILTERS`, each with an exact value. `before` is the id of an entry: only
    older ones are returned.
    """
    statement = (
        select(
            AuditEntry.id, AuditEntry.at, AuditEntry.actor, AuditEntry.action,
            AuditEntry.subject, AuditEntry.reason, AuditEntry.detail,
        )
        .where(*(getattr(AuditEntry, name) == filters[name] for name in FILTERS if name in filters))
        .order_by(AuditEntry.id.desc())
        .limit(limit)
    )  # fmt: skip
    if before is not None:
        statement = statement.where(AuditEntry.id < before)
    return [dict(row._mapping) for row in connection.execute(statement)]


def note_view(connection: Connection, person: Principal, subject: str, now: datetime) -> None:
    """Record that a user viewed the personal data of a subject (`event <id>`), once an hour.

    Nothing is recorded for a user who sees masked data only.
    """
    if not person.sees_personal:
        return
    seen = connection.execute(
        select(AuditEntry.id)
        .where(
            AuditEntry.action == ACTION,
            AuditEntry.actor == person.actor,
            AuditEntry.subject == subject,
            AuditEntry.at > now - AGAIN_AFTER,
        )
        .limit(1)
    ).first()
    if seen is None:
        record_action(connection, actor=person.actor, action=ACTION, subject=subject, now=now)


def audited_from(connection: Connection) -> datetime | None:
    """Return the instant from which on the log is whole; None if nothing was ever deleted."""
    return connection.execute(select(HubIdentity.audited_from)).scalar_one_or_none()
