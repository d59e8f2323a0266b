"""The audit log: who did what to what, when and why. Rows are only ever added."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert

from hub.core.ids import new_id
from hub.core.models import AuditEntry


def record_action(
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
    record_actions(connection, [(action, subject, detail)], actor=actor, now=now, reason=reason)


def record_actions(
    connection: Connection,
    done: Sequence[tuple[str, str, dict[str, Any] | None]],
    *,
    actor: str,
    now: datetime,
    reason: str | None = None,
) -> None:
    """Write an entry for each (action, subject, detail) that somebody did at once."""
    entries = [
        {"id": new_id(now), "at": now, "actor": actor, "action": action, "subject": subject,
         "reason": reason, "detail": detail}
        for action, subject, detail in done
    ]  # fmt: skip
    if entries:
        connection.execute(insert(AuditEntry), entries)
