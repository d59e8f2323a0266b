"""The audit log: who did what to what, when and why. Rows are only ever added."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert

from hub.core.ids import new_id
from hub.core.models import AuditEntry


def note(
    connection: Connection,
    *,
    actor: str,
    action: str,
    subject: str,
    now: datetime,
    reason: str | None = None,
    detail: dict[str, Any] | None = None,
) -> None:
    """Write an entry, in the transaction of what it tells about."""
    connection.execute(
        insert(AuditEntry).values(
            id=new_id(now),
            at=now,
            actor=actor,
            action=action,
            subject=subject,
            reason=reason,
            detail=detail,
        )
    )
