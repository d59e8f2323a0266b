"""Contacts: the projection of stored events to people, each with one or several identities.

The strongest identity decides: a provider's customer id, then the e-mail address, then the phone.
A phone number never joins two people whose addresses differ: families and offices share numbers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, delete, func, insert, select, tuple_, update

from hub.core.advisory_locks import advisory_locks
from hub.core.ids import new_id
from hub.core.models import Contact, Identity, StoredEvent, insert_if_new

# Key of the advisory lock, "hubf": workers of earlier releases use the same number for it.
_CONTACTS = (0x68756266).to_bytes(8, "big")

FIELDS = ("name", "email", "phone")
# A longer value identifies no person, and an index could not hold it.
LONGEST = 255
# Event families that state a contact's current details; other events only fill in missing ones.
ABOUT_THE_PERSON = ("customer.", "contact.")


@dataclass(frozen=True, slots=True)
class Facts:
    """Contact fields of one event."""

    event_id: UUID
    source: str
    type: str
    data: Mapping[str, Any]

    def identities(self) -> list[tuple[str, str]]:
        """Return the identities as `(kind, value)` pairs, the strongest first."""
        data = self.data
        pairs = [
            (f"{self.source}:customer_id", data.get("customer_id")),
            ("email", str(data["email"]).lower() if data.get("email") else None),
            ("phone", data.get("phone")),
        ]
        return [(kind, str(value)) for kind, value in pairs if value and len(str(value)) <= LONGEST]


def fold_event(
    connection: Connection, facts: Facts, *, now: datetime, is_all: bool = True
) -> UUID | None:
    """Find or create the contact of an event, add the event's fields, and link the event to it.

    Return the contact's id; None if the event has no identity. `is_all`: no other projection of
    the event is pending, so it is marked as folded.
    """
    lock_contacts(connection)
    identities = facts.identities()
    contact_id = _find_or_make(connection, identities, now) if identities else None
    if contact_id:
        _learn(connection, contact_id, facts, now)
    connection.execute(
        update(StoredEvent)
        .where(StoredEvent.id == facts.event_id)
        .values(contact_id=contact_id, **({"folded": True} if is_all else {}))
    )
    return contact_id


def lock_contacts(connection: Connection) -> None:
    """Acquire the lock that serializes folding: two folds would wait for each other's rows."""
    advisory_locks(connection, [_CONTACTS])


def _find_or_make(
    connection: Connection, identities: Sequence[tuple[str, str]], now: datetime
) -> UUID:
    known = _known(connection, identities)
    contact_id = _chosen(connection, identities, known)
    made = contact_id is None
    if contact_id is None:
        contact_id = new_id(now)
        connection.execute(insert(Contact).values(id=contact_id, created_at=now, updated_at=now))
    missing = sorted(pair for pair in identities if pair not in known)
    if missing:
        rows = [{"kind": kind, "value": v, "contact_id": contact_id} for kind, v in missing]
        connection.execute(insert_if_new(connection, Identity), rows)
    strongest = _known(connection, identities[:1]).get(identities[0], contact_id)
    # Another transaction created a contact for the same identity first.
    if made and strongest != contact_id:
        connection.execute(
            update(Identity).where(Identity.contact_id == contact_id).values(contact_id=strongest)
        )
        connection.execute(delete(Contact).where(Contact.id == contact_id))
    return strongest


def _known(
    connection: Connection, identities: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], UUID]:
    rows = connection.execute(
        select(Identity.kind, Identity.value, Identity.contact_id).where(
            tuple_(Identity.kind, Identity.value).in_(identities)
        )
    )
    return {(row.kind, row.value): row.contact_id for row in rows}


def _chosen(
    connection: Connection,
    identities: Sequence[tuple[str, str]],
    known: Mapping[tuple[str, str], UUID],
) -> UUID | None:
    """Return the contact of the strongest known identity, unless a stronger one contradicts."""
    for n, identity in enumerate(identities):
        if identity not in known:
            continue
        stronger_kinds = [kind for kind, _ in identities[:n]]
        contradicts = connection.execute(
            select(func.count()).where(
                Identity.contact_id == known[identity], Identity.kind.in_(stronger_kinds)
            )
        ).scalar_one()
        return None if contradicts else known[identity]
    return None


def _learn(connection: Connection, contact_id: UUID, facts: Facts, now: datetime) -> None:
    told = {name: facts.data[name] for name in FIELDS if facts.data.get(name)}
    if not told:
        return
    if not facts.type.startswith(ABOUT_THE_PERSON):
        told = {name: func.coalesce(getattr(Contact, name), told[name]) for name in told}
    connection.execute(
        update(Contact).where(Contact.id == contact_id).values(**told, updated_at=now)
    )
