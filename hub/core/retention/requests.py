"""Deletion of requests: their bodies, those that did not verify, those whose event is gone.

With its body a request loses its headers and the query of its address, which name people too, and
its events lose the copy of the sender's own object that was fetched, or that an edited copy keeps.
"""

from collections.abc import Collection
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, delete, exists, func, literal_column, select, type_coerce, update
from sqlalchemy.dialects.postgresql import JSONB

from hub.core.models import Alert, RequestState, StoredEvent, StoredRequest
from hub.core.monitoring import alerts
from hub.core.retention.protection import is_needed
from hub.core.retention.walk import Step, reached

_IS_REJECTED = StoredRequest.state == literal_column(f"'{RequestState.REJECTED}'")
_IS_WHOLE = StoredRequest.body_deleted_at.is_(None)


def delete_bodies(
    connection: Connection, after: UUID, most: int, *, before: UUID, now: datetime
) -> Step:
    """Delete the bodies of requests that verified, but for those that an event still needs."""
    window = (
        select(StoredRequest.id)
        .where(StoredRequest.id > after, StoredRequest.id < before, _IS_WHOLE, ~_IS_REJECTED)
        .order_by(StoredRequest.id)
        .limit(most)
    )
    seen = list(connection.execute(window).scalars())
    if not seen:
        return Step(0)
    is_its = StoredEvent.request_id == StoredRequest.id
    locked = connection.execute(
        select(StoredRequest.id)
        .where(
            StoredRequest.id.in_(seen),
            _IS_WHOLE,
            ~exists().where(is_its, is_needed(connection)),
        )
        .order_by(StoredRequest.id)
        .with_for_update(skip_locked=True, of=StoredRequest)
    )
    ids = list(locked.scalars())
    if ids:
        _empty(connection, ids, now)
    return Step(len(ids), reached(seen, most))


def delete_rejected(
    connection: Connection, after: UUID, most: int, *, before: UUID, longest: UUID
) -> Step:
    """Delete the traces of requests that did not verify.

    As long as an open alert says that nothing from their source verifies, they may still be
    verified again: they stay, if not from before `longest`.
    """
    trouble = select(Alert.subject).where(
        Alert.kind == alerts.NOT_VERIFIED, Alert.ended_at.is_(None)
    )
    troubled = {text.partition(" ")[2] for text in connection.execute(trouble).scalars()}
    seen = connection.execute(
        _of_state(RequestState.REJECTED, StoredRequest.id, StoredRequest.source)
        .where(StoredRequest.id > after, StoredRequest.id < before)
        .limit(most)
    ).all()
    ids = [row.id for row in seen if row.source not in troubled or row.id < longest]
    count = _delete(connection, ids, RequestState.REJECTED)
    return Step(count, reached([row.id for row in seen], most))


def delete_orphans(
    connection: Connection, after: UUID, most: int, *, before: UUID, state: RequestState
) -> Step:
    """Delete requests of a state (*duplicate*, *unreadable*) that have no event of their own."""
    seen = list(
        connection.execute(
            _of_state(state, StoredRequest.id)
            .where(StoredRequest.id > after, StoredRequest.id < before)
            .limit(most)
        ).scalars()
    )
    told = select(StoredEvent.request_id).where(StoredEvent.request_id.in_(seen))
    has_event = set(connection.execute(told).scalars())
    count = _delete(connection, [one for one in seen if one not in has_event], state)
    return Step(count, reached(seen, most))


def _of_state(state: RequestState, *columns: Any) -> Any:
    # As the index of requests that are not accepted says it.
    is_odd = StoredRequest.state != literal_column(f"'{RequestState.ACCEPTED}'")
    is_it = StoredRequest.state == literal_column(f"'{state}'")
    return select(*columns).where(is_odd, is_it).order_by(StoredRequest.id)


def _delete(connection: Connection, ids: Collection[UUID], state: RequestState) -> int:
    """Delete requests, unless they changed their state (were taken in) or are being changed."""
    if not ids:
        return 0
    free = (
        select(StoredRequest.id)
        .where(StoredRequest.id.in_(ids), StoredRequest.state == state)
        .with_for_update(skip_locked=True)
    )
    locked = connection.execute(free).scalars().all()
    connection.execute(delete(StoredRequest).where(StoredRequest.id.in_(locked)))
    return len(locked)


def _empty(connection: Connection, ids: Collection[UUID], now: datetime) -> None:
    url = StoredRequest.url
    if connection.dialect.name == "postgresql":
        path: Any = func.split_part(url, "?", 1)
        tree = type_coerce(StoredEvent.data, JSONB)
        has_native: Any = tree.has_key("native")
        rest: Any = tree.op("-")("native")
    else:
        path = func.substr(url, 1, func.instr(url + "?", "?") - 1)
        has_native = func.json_type(StoredEvent.data, "$.native").is_not(None)
        rest = func.json_remove(StoredEvent.data, "$.native")
    connection.execute(
        update(StoredRequest)
        .where(StoredRequest.id.in_(ids))
        .values(body=None, headers={}, url=path, body_deleted_at=now)
    )
    connection.execute(
        update(StoredEvent)
        .where(StoredEvent.request_id.in_(ids), has_native)
        .values(data=type_coerce(rest, StoredEvent.data.type))
    )
