"""Tables of inbound requests, their events, event keys, edited copies, and the search index.

Event keys deduplicate events. Edited copies record the changes that a person made to an event.

The search index differs too much between the databases for one model. PostgreSQL has a table with
a `tsvector`; SQLite has an FTS5 table, whose row ids grow with the time of the event, so that it
reads the newest first. The migration creates both; no other code may.
"""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Column, ForeignKey, Index, MetaData, Table, Text, Uuid, column, table, text
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlalchemy.orm import Mapped, mapped_column

from hub.core.models.base import Base, Json
from hub.core.models.body_encoding import StoredBody

SEARCH_TABLE = "event_search"
# Search index of PostgreSQL.
event_search = Table(
    SEARCH_TABLE,
    MetaData(),
    Column("event_id", Uuid, primary_key=True),
    Column("words", TSVECTOR, nullable=False),
)
# Search index of SQLite.
event_search_fts = table(
    SEARCH_TABLE,
    column("rowid"),
    column("event_id", Uuid),
    column("words", Text),
    # The hidden column that MATCH compares with.
    column(SEARCH_TABLE),
)


class RequestState(StrEnum):
    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    UNREADABLE = "unreadable"
    REJECTED = "rejected"


class EventState(StrEnum):
    MATCHED = "matched"
    UNMATCHED = "unmatched"
    INCOMPLETE = "incomplete"
    HELD = "held"
    DISCARDED = "discarded"


class StoredRequest(Base):
    """Inbound request as it arrived: exact bytes, headers without credentials, verdict.

    `body` is stored as `encode_body` returns it, and read as it arrived; of a form's body, what the
    form declares is kept alone. `size_bytes` is the length of what is kept, before it is encoded.
    It is absent for a plain duplicate (the first request has it), and for a rejected request that
    was too large to store. `reason` says why the request is unreadable, rejected or in conflict.
    `event_id` is the event that a duplicate repeats, or the first event of an accepted request.
    `body_deleted_at`: since then retention has left no body, no headers, and no query.
    """

    __tablename__ = "inbound_requests"
    __table_args__ = (
        Index(
            "ix_inbound_requests_odd",
            "state",
            "id",
            postgresql_where=text("state <> 'accepted'"),
            sqlite_where=text("state <> 'accepted'"),
        ),
        Index("ix_inbound_requests_event_id", "event_id"),
        Index(
            "ix_inbound_requests_whole",
            "id",
            postgresql_where=text("body_deleted_at IS NULL"),
            sqlite_where=text("body_deleted_at IS NULL"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    source: Mapped[str]
    state: Mapped[str]
    received_at: Mapped[datetime]
    method: Mapped[str]
    url: Mapped[str]
    headers: Mapped[dict[str, Any]]
    body: Mapped[bytes | None] = mapped_column(StoredBody)
    size_bytes: Mapped[int]
    signed_by: Mapped[str | None]
    conflict: Mapped[bool] = mapped_column(default=False)
    reason: Mapped[str | None]
    event_id: Mapped[UUID | None]
    body_deleted_at: Mapped[datetime | None]


class StoredEvent(Base):
    """Canonical event.

    `data` does not contain the provider's own object, unless that had to be fetched: it is parsed
    again from the request body when needed. `data_error` says which part of `data` could not be
    stored as it arrived, or why the event is still incomplete. `folded`: no projection is pending.
    `backfilled`: its webhook never arrived, and it was found in the provider's own list.
    `held_reason`: why a person had to review it first. `sender` is a digest of the address that it
    came from, if known. `indexed`: it is in the search index.
    """

    __tablename__ = "events"
    __table_args__ = (
        Index("ix_events_source_id", "source", "id"),
        Index("ix_events_type_id", "type", "id"),
        Index("ix_events_external_id", "external_id"),
        Index("ix_events_request_id", "request_id"),
        Index("ix_events_contact_id", "contact_id", "id",
              postgresql_where=text("contact_id IS NOT NULL"),
              sqlite_where=text("contact_id IS NOT NULL")),
        Index("ix_events_incomplete", "id", postgresql_where=text("state = 'incomplete'"),
              sqlite_where=text("state = 'incomplete'")),
        Index("ix_events_held", "id", postgresql_where=text("state = 'held'"),
              sqlite_where=text("state = 'held'")),
        Index("ix_events_unfolded", "id", postgresql_where=text("NOT folded"),
              sqlite_where=text("NOT folded")),
        Index("ix_events_unindexed", "id", postgresql_where=text("NOT indexed"),
              sqlite_where=text("NOT indexed")),
        Index("ix_events_unmatched", "id", postgresql_where=text("state = 'unmatched'"),
              sqlite_where=text("state = 'unmatched'")),
        Index("ix_events_test", "id", postgresql_where=text("NOT live"),
              sqlite_where=text("NOT live")),
    )  # fmt: skip

    id: Mapped[UUID] = mapped_column(primary_key=True)
    request_id: Mapped[UUID] = mapped_column(ForeignKey("inbound_requests.id"))
    source: Mapped[str]
    type: Mapped[str]
    native_type: Mapped[str]
    external_id: Mapped[str]
    occurred_at: Mapped[datetime]
    received_at: Mapped[datetime]
    state: Mapped[str]
    live: Mapped[bool]
    data: Mapped[dict[str, Any] | None]
    data_error: Mapped[str | None]
    config_version: Mapped[str]
    duplicates: Mapped[int] = mapped_column(default=0, server_default="0")
    contact_id: Mapped[UUID | None] = mapped_column(ForeignKey("contacts.id"))
    folded: Mapped[bool]
    backfilled: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
    held_reason: Mapped[str | None]
    sender: Mapped[str | None]
    indexed: Mapped[bool] = mapped_column(default=False, server_default=text("false"))


# External id of a body of which no event is made, before its digest. No adapter's id has a space;
# the key's event id is that of the request.
BODY_KEY = "body "


class EventKey(Base):
    """Key that deduplicates an event. It outlives the event itself.

    `fingerprint` is a digest of the fields that may not differ when an event is sent twice.
    """

    __tablename__ = "event_keys"
    __table_args__ = (
        Index("uq_event_keys_fact", "source", "fact_key", unique=True,
              postgresql_where=text("fact_key IS NOT NULL"),
              sqlite_where=text("fact_key IS NOT NULL")),
        Index("ix_event_keys_event_id", "event_id"),
    )  # fmt: skip

    source: Mapped[str] = mapped_column(primary_key=True)
    external_id: Mapped[str] = mapped_column(primary_key=True)
    fact_key: Mapped[str | None]
    event_id: Mapped[UUID]
    fingerprint: Mapped[bytes]
    first_seen_at: Mapped[datetime]


class EventCopy(Base):
    """Edited copy of an event. `changes` are `[path, before, after]`, with None for no value."""

    __tablename__ = "event_copies"
    __table_args__ = (Index("ix_event_copies_original_id", "original_id", "event_id"),)

    event_id: Mapped[UUID] = mapped_column(ForeignKey("events.id"), primary_key=True)
    original_id: Mapped[UUID] = mapped_column(ForeignKey("events.id"))
    actor: Mapped[str]
    made_at: Mapped[datetime]
    changes: Mapped[list[Any]] = mapped_column(Json)
