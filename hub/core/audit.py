"""Audit log: the actor, action, subject, time and reason of each action. Rows are append-only."""

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
    """Insert one audit entry, in the same transaction as the action that it records."""
    record_actions(connection, [(action, subject, detail)], actor=actor, now=now, reason=reason)


def record_actions(
    connection: Connection,
    done: Sequence[tuple[str, str, dict[str, Any] | None]],
    *,
    actor: str,
    now: datetime,
    reason: str | None = None,
) -> None:
    """Insert one audit entry per (action, subject, detail) tuple of an actor's bulk action."""
    entries = [
        {"id": new_id(now), "at": now, "actor": actor, "action": action, "subject": subject,
         "reason": reason, "detail": detail}
        for action, subject, detail in done
    ]  # fmt: skip
    if entries:
        connection.execute(insert(AuditEntry), entries)
