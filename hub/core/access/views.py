"""Who has looked at whose data: one entry in the audit log for an hour of looking."""

from datetime import datetime, timedelta

from sqlalchemy import Connection, select

from hub.core.access.roles import Person
from hub.core.audit import note
from hub.core.models import AuditEntry

ACTION = "view.personal"
AGAIN_AFTER = timedelta(hours=1)


def note_view(connection: Connection, person: Person, subject: str, now: datetime) -> None:
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
        note(connection, actor=person.actor, action=ACTION, subject=subject, now=now)
