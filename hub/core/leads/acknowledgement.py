"""Lead acknowledgement: by the link in a notification, by replying `1`, or by command.

The first acknowledgement stands; every later one gets the first one back.
"""

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, func, insert, select

from hub.core.audit import record_action
from hub.core.errors import NotFound
from hub.core.event_kinds import is_acknowledgement_reply
from hub.core.leads.people import Person
from hub.core.models import (
    Acknowledgement,
    Attempt,
    LeadLink,
    LeadNotification,
    StoredEvent,
    insert_if_new,
)
from hub.core.monitoring import alerts

NOBODY_TOOK_IT = "nobody took the lead"
TOKEN_BYTES = 16
LINK_DAYS = 30
# A reply counts for this long after the notification; a later `ok` answers something else.
REPLY_DAYS = 3

_TOKEN = re.compile(r"[A-Za-z0-9_-]{22}")
_PATH = re.compile(r"(?<=/a/)[A-Za-z0-9_-]{22}(?![A-Za-z0-9_-])")


@dataclass(frozen=True, slots=True)
class TakenLead:
    """Acknowledgement of a lead: by which person, how (`link`, `reply`, `command`) and when.

    `person` and `name` are None if a command named no person. `is_new`: recorded by this call.
    """

    person: str | None
    name: str | None
    how: str
    at: datetime
    is_new: bool = False


@dataclass(frozen=True, slots=True)
class Link:
    """Acknowledgement link, resolved: its event, its person and the name given in the lead."""

    event_id: UUID
    person: str
    lead: str


def acknowledge(
    connection: Connection,
    event_id: UUID,
    person: Person | None,
    *,
    how: str,
    actor: str,
    now: datetime,
) -> TakenLead:
    """Record the acknowledgement of a lead and end its alert; return the one that stands.

    If the lead was acknowledged before, nothing is written and the earlier acknowledgement, which
    may be another person's, is returned.

    Raises:
        NotFound: there is no such event.
    """
    known = select(StoredEvent.id).where(StoredEvent.id == event_id)
    if connection.execute(known).first() is None:
        raise NotFound(f"there is no event {event_id}")
    slug, name = (person.slug, person.name) if person else (None, None)
    made = connection.execute(
        insert_if_new(connection, Acknowledgement)
        .values(event_id=event_id, person=slug, name=name, how=how, actor=actor, at=now)
        .returning(Acknowledgement.event_id)
    ).first()
    if made is None:
        standing = taken_lead(connection, event_id)
        assert standing is not None  # noqa: S101 - the conflicting row exists
        return standing
    alerts.end(connection, NOBODY_TOOK_IT, lead_subject(event_id), now=now)
    detail = {"person": slug, "how": how}
    record_action(
        connection,
        actor=actor,
        action="lead.acknowledge",
        subject=lead_subject(event_id),
        now=now,
        detail=detail,
    )
    return TakenLead(slug, name, how, now, is_new=True)


def taken_lead(connection: Connection, event_id: UUID) -> TakenLead | None:
    """Return the acknowledgement of a lead; None while there is none."""
    columns = (Acknowledgement.person, Acknowledgement.name, Acknowledgement.how,
               Acknowledgement.at)  # fmt: skip
    row = connection.execute(
        select(*columns).where(Acknowledgement.event_id == event_id)
    ).one_or_none()
    return TakenLead(**row._mapping) if row else None


def lead_subject(event_id: UUID) -> str:
    """Return the subject of a lead in alerts and in the audit log."""
    return f"event {event_id}"


def new_link(connection: Connection, event_id: UUID, person: str, *, now: datetime) -> str:
    """Insert an acknowledgement link for one person and one lead; return its path.

    Only a digest of the token is stored; the message that carries the path has it to the end.
    """
    token = secrets.token_urlsafe(TOKEN_BYTES)
    values = {"event_id": event_id, "person": person, "created_at": now}
    connection.execute(insert(LeadLink).values(digest=_digest(token), **values))
    return f"/a/{token}"


def mask_links(value: Any) -> Any:
    """Return a tree with the tokens of acknowledgement links masked: each is one person's own."""
    if isinstance(value, str):
        return _PATH.sub("***", value)
    if isinstance(value, Mapping):
        return {key: mask_links(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [mask_links(item) for item in value]
    return value


def link_of(connection: Connection, token: str, *, now: datetime) -> Link | None:
    """Return the link of a token; None if the token is malformed, unknown or expired."""
    if not _TOKEN.fullmatch(token):
        return None
    row = connection.execute(
        select(LeadLink.event_id, LeadLink.person, StoredEvent.data)
        .join(StoredEvent, StoredEvent.id == LeadLink.event_id)
        .where(
            LeadLink.digest == _digest(token),
            LeadLink.created_at > now - timedelta(days=LINK_DAYS),
        )
    ).one_or_none()
    if row is None:
        return None
    name = (row.data or {}).get("name")
    return Link(row.event_id, row.person, name if isinstance(name, str) else "")


def take_reply(
    connection: Connection,
    people: Mapping[str, Person],
    *,
    event_type: str,
    data: Mapping[str, Any],
    said_at: datetime,
    now: datetime,
) -> UUID | None:
    """Apply a reply as acknowledgement of the newest lead its sender had been notified of by then.

    Leads that the sender has already acknowledged are skipped. If another person has acknowledged
    the newest one, the reply acknowledges nothing: it was meant for that lead, and an older lead
    would be marked as taken although no person looks after it.

    Returns the id of the acknowledged event, None if there is none.
    """
    if not is_acknowledgement_reply(event_type, data):
        return None
    slugs = [one.slug for one in people.values() if one.phone and one.phone == data.get("from")]
    if not slugs:
        return None
    sent = select(Attempt.id).where(
        Attempt.delivery_id == LeadNotification.delivery_id, Attempt.started_at <= said_at
    )
    row = connection.execute(
        select(
            LeadNotification.event_id, LeadNotification.person, Acknowledgement.at.label("taken_at")
        )
        .outerjoin(Acknowledgement, Acknowledgement.event_id == LeadNotification.event_id)
        .where(
            LeadNotification.person.in_(slugs),
            LeadNotification.created_at > said_at - timedelta(days=REPLY_DAYS),
            sent.exists(),
            func.coalesce(Acknowledgement.person, "").not_in(slugs),
        )
        .order_by(LeadNotification.created_at.desc(), LeadNotification.event_id.desc())
        .limit(1)
    ).one_or_none()
    if row is None or row.taken_at is not None:
        return None
    event_id: UUID = row.event_id
    actor = f"person:{row.person}"
    acknowledge(connection, event_id, people[row.person], how="reply", actor=actor, now=now)
    return event_id


def _digest(token: str) -> bytes:
    return sha256(token.encode()).digest()
