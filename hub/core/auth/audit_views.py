"""The audit log as it is read: newest first, by who, what and about whom.

Who has looked at whose data: one entry in the audit log for an hour of looking.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, select

from hub.core.audit import record_action
from hub.core.auth.roles import Principal
from hub.core.models import AuditEntry

FILTERS = ("actor", "action", "subject")
MOST_ROWS = 1000
MOST_EXPORTED = 50_000


def list_entries(
    connection: Connection,
    *,
    filters: Mapping[str, str],
    limit: int,
    before: UUID | None = None,
) -> list[dict[str, Any]]:
    """Return entries, newest first: `id at actor action subject reason detail`.

    `filters` are some of `FILTERS`, each an exact value; `before`: only what is older than it.
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


ACTION = "view.personal"
AGAIN_AFTER = timedelta(hours=1)


def note_view(connection: Connection, person: Principal, subject: str, now: datetime) -> None:
    """Note that somebody saw the personal data of a subject (`event <id>`), once an hour.

    Of somebody who sees masks only, nothing is noted.
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
