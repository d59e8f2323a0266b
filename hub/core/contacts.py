"""Contacts: the projection of stored events to people, each with one or several identities.

The strongest identity decides: a provider's customer id, then the e-mail address, then the phone.
A phone number never joins two people whose addresses differ: families and offices share numbers.

A set of events is folded in memory, in its order, and written by a few statements, whatever its
size: the result is that of folding them one by one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Text, bindparam, func, insert, select, tuple_, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.sql.base import Executable

from hub.core.advisory_locks import advisory_locks
from hub.core.ids import new_id
from hub.core.models import Contact, Identity, StoredEvent
from hub.core.pipeline import StatementForRows, write_rows

# Key of the advisory lock, "hubf": workers of earlier releases use the same number for it.
_CONTACTS = (0x68756266).to_bytes(8, "big")

FIELDS = ("name", "email", "phone")
# A longer value identifies no person, and an index could not hold it.
LONGEST = 255
# Event families that state a contact's current details; other events only fill in missing ones.
ABOUT_THE_PERSON = ("customer.", "contact.")

IdentityPair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Facts:
    """Contact fields of one event."""

    event_id: UUID
    source: str
    type: str
    data: Mapping[str, Any]

    def identities(self) -> list[IdentityPair]:
        """Return the identities as `(kind, value)` pairs, the strongest first."""
        email = self.data.get("email")
        pairs = [
            (f"{self.source}:customer_id", self.data.get("customer_id")),
            ("email", email.lower() if isinstance(email, str) else None),
            ("phone", self.data.get("phone")),
        ]
        return [
            (kind, str(value))
            for kind, value in pairs
            # A list or a truth value identifies no person.
            if value and type(value) in (str, int) and len(str(value)) <= LONGEST
        ]

    def fields(self) -> dict[str, str]:
        """Return the fields of the contact that are texts."""
        found = {name: self.data.get(name) for name in FIELDS}
        return {name: value for name, value in found.items() if value and isinstance(value, str)}


def fold_event(
    connection: Connection, facts: Facts, *, now: datetime, is_all: bool = True
) -> UUID | None:
    """Find or create the contact of an event, add the event's fields, and link the event to it.

    Return the contact's id; None if the event has no identity. `is_all`: no other projection of
    the event is pending, so it is marked as folded.
    """
    lock_contacts(connection)
    [contact_id] = fold_contacts(connection, [facts], now=now)
    connection.execute(
        update(StoredEvent)
        .where(StoredEvent.id == facts.event_id)
        .values(contact_id=contact_id, **({"folded": True} if is_all else {}))
    )
    return contact_id


def lock_contacts(connection: Connection) -> None:
    """Acquire the lock that serializes folding: two folds would wait for each other's rows."""
    advisory_locks(connection, [_CONTACTS])


def fold_contacts(
    connection: Connection, told: Sequence[Facts], *, now: datetime
) -> list[UUID | None]:
    """Find or create the contact of each event, in this order, and add the events' fields.

    Return the contacts' ids; None for an event that has no identity. The events are not linked.
    The caller has acquired the lock of folding (`lock_contacts`).
    """
    identities = [facts.identities() for facts in told]
    known = _known(connection, sorted({pair for pairs in identities for pair in pairs}))
    kinds: dict[UUID, set[str]] = {}
    if known and any(len(pairs) > 1 and pairs[0] not in known for pairs in identities):
        kinds = _kinds(connection, sorted(set(known.values())))
    fold = _Fold(known, kinds, now)
    linked = [fold.add(facts, pairs) for facts, pairs in zip(told, identities, strict=True)]
    fold.write(connection)
    return linked


@dataclass(slots=True)
class _Change:
    """Change of one contact: fields that were stated, and values for those that are missing."""

    stated: dict[str, str] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)

    def row(self, contact_id: UUID, now: datetime) -> dict[str, Any]:
        row: dict[str, Any] = {"contact_id": contact_id, "learned_at": now}
        for name in FIELDS:
            row[f"stated_{name}"] = self.stated.get(name)
            row[f"missing_{name}"] = self.missing.get(name)
        return row


class _Fold:
    """Fold of a set of events, in memory.

    `known`: the contacts of the identities that any of the events names. `kinds`: the kinds of
    identities that these contacts have.
    """

    def __init__(
        self, known: dict[IdentityPair, UUID], kinds: dict[UUID, set[str]], now: datetime
    ) -> None:
        self._known = known
        self._kinds = kinds
        self._now = now
        self._new: dict[UUID, None] = {}
        self._added: list[dict[str, Any]] = []
        self._changes: dict[UUID, _Change] = {}

    def add(self, facts: Facts, identities: Sequence[IdentityPair]) -> UUID | None:
        """Return the contact of an event, after what the events before have made of it."""
        if not identities:
            return None
        contact_id = self._chosen(identities)
        if contact_id is None:
            contact_id = new_id(self._now)
            self._new[contact_id] = None
        for kind, value in identities:
            if (kind, value) not in self._known:
                self._known[kind, value] = contact_id
                self._kinds.setdefault(contact_id, set()).add(kind)
                self._added.append({"kind": kind, "value": value, "contact_id": contact_id})
        self._learn(contact_id, facts)
        return contact_id

    def write(self, connection: Connection) -> None:
        """Write new contacts, then their identities, then what became known of old ones."""
        new = [self._changes.pop(id_, _Change()).row(id_, self._now) for id_ in self._new]
        old = [change.row(id_, self._now) for id_, change in self._changes.items()]
        write_rows(connection, _NEW_CONTACTS, new)
        write_rows(connection, _NEW_IDENTITIES, self._added)
        write_rows(connection, _LEARN, old)

    def _chosen(self, identities: Sequence[IdentityPair]) -> UUID | None:
        """Return the contact of the strongest known identity, unless a stronger one contradicts."""
        for n, identity in enumerate(identities):
            if (contact_id := self._known.get(identity)) is not None:
                stronger_kinds = {kind for kind, _ in identities[:n]}
                contradicts = stronger_kinds & self._kinds.get(contact_id, set())
                return None if contradicts else contact_id
        return None

    def _learn(self, contact_id: UUID, facts: Facts) -> None:
        fields = facts.fields()
        if not fields:
            return
        change = self._changes.setdefault(contact_id, _Change())
        if facts.type.startswith(ABOUT_THE_PERSON):
            change.stated |= fields
        else:
            change.missing = fields | change.missing


def _known(connection: Connection, pairs: Sequence[IdentityPair]) -> dict[IdentityPair, UUID]:
    if not pairs:
        return {}
    if connection.dialect.name == "postgresql":
        kinds, values = ([pair[n] for pair in pairs] for n in (0, 1))
        found = connection.execute(_KNOWN, {"kinds": kinds, "values": values})
    else:
        found = connection.execute(
            _IDENTITIES.where(tuple_(Identity.kind, Identity.value).in_(pairs))
        )
    return {(row.kind, row.value): row.contact_id for row in found}


def _kinds(connection: Connection, contact_ids: Sequence[UUID]) -> dict[UUID, set[str]]:
    kinds: dict[UUID, set[str]] = {}
    columns = select(Identity.contact_id, Identity.kind).distinct()
    for row in connection.execute(columns.where(Identity.contact_id.in_(contact_ids))):
        kinds.setdefault(row.contact_id, set()).add(row.kind)
    return kinds


_IDENTITIES = select(Identity.kind, Identity.value, Identity.contact_id)
_asked = (
    func.unnest(bindparam("kinds", type_=ARRAY(Text)), bindparam("values", type_=ARRAY(Text)))
    .table_valued("kind", "value", name="asked")
    .render_derived()
)
_KNOWN = _IDENTITIES.join(
    _asked, (Identity.kind == _asked.c.kind) & (Identity.value == _asked.c.value)
)
_CHANGE = {
    "contact_id": Contact.id.type,
    "learned_at": Contact.updated_at.type,
    **{f"{kind}_{name}": Text() for kind in ("stated", "missing") for name in FIELDS},
}


def _new_contacts(row: Any) -> Executable:
    fields = [func.coalesce(row[f"stated_{name}"], row[f"missing_{name}"]) for name in FIELDS]
    columns = ["id", *FIELDS, "created_at", "updated_at"]
    return insert(Contact).from_select(
        columns, select(row["contact_id"], *fields, row["learned_at"], row["learned_at"])
    )


def _learn(row: Any) -> Executable:
    fields = {
        name: func.coalesce(row[f"stated_{name}"], getattr(Contact, name), row[f"missing_{name}"])
        for name in FIELDS
    }
    return (
        update(Contact)
        .where(Contact.id == row["contact_id"])
        .values(**fields, updated_at=row["learned_at"])
    )


_IDENTITY = {one.name: one.type for one in Identity.__table__.columns}


def _new_identities(row: Any) -> Executable:
    return insert(Identity).from_select([*_IDENTITY], select(*(row[name] for name in _IDENTITY)))


_NEW_CONTACTS = StatementForRows(_new_contacts, _CHANGE)
_LEARN = StatementForRows(_learn, _CHANGE, by=(Contact.id, "contact_id"))
_NEW_IDENTITIES = StatementForRows(_new_identities, _IDENTITY)
