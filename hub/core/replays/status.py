"""Status of replays: their progress, and the outcome of each item."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, case, func, literal_column, or_, select

from hub.core.errors import NotFound
from hub.core.models import (
    Delivery,
    DeliveryState,
    ItemState,
    Replay,
    ReplayItem,
    ReplayState,
    is_among,
)

# Most items that are examined for one page.
WINDOW = 10_000


class ItemOutcome(StrEnum):
    """Outcome of a replay item so far."""

    SUCCEEDED = "succeeded"
    SAME_ERROR = "same_error"
    OTHER_ERROR = "other_error"
    UNKNOWN = "unknown"
    SKIPPED = "skipped"
    ON_ITS_WAY = "on_its_way"
    LEFT = "left"
    NOT_YET = "not_yet"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Items:
    """Page of replay items; `after` is the cursor of the next page, None on the last one."""

    rows: Sequence[Any]
    after: UUID | None


def list_replays(
    connection: Connection, *, limit: int, before: UUID | None = None
) -> Sequence[Any]:
    """Return replays, newest first."""
    statement = select(Replay.__table__)
    if before:
        statement = statement.where(Replay.id < before)
    return connection.execute(statement.order_by(Replay.id.desc()).limit(limit)).all()


def replay_row(connection: Connection, replay_id: UUID) -> Any:
    """Return the row of one replay.

    Raises:
        NotFound: there is no replay with that id.
    """
    row = connection.execute(select(Replay.__table__).where(Replay.id == replay_id)).one_or_none()
    if row is None:
        raise NotFound("there is no such replay")
    return row


def eta_s(row: Any) -> float | None:
    """Return the seconds until all items are released, at the replay's rate.

    None if the replay is not running.
    """
    if row.state != ReplayState.RUNNING:
        return None
    return float((row.total - row.queued - row.moved_on) * 60 / row.per_minute)


def counts(connection: Connection, row: Any) -> Mapping[ItemOutcome, int]:
    """Return the number of items by outcome; items not yet released are not examined."""
    let_go = row.queued + row.moved_on
    waiting = {ItemOutcome.NOT_YET: row.total - let_go, ItemOutcome.LEFT: row.moved_on}
    became = _became().label("became")
    found = connection.execute(
        select(became, func.count().label("many"))
        .select_from(ReplayItem)
        .outerjoin(Delivery, Delivery.id == ReplayItem.delivery_id)
        .where(ReplayItem.replay_id == row.id, ReplayItem.state == ItemState.QUEUED)
        .group_by(became)
    )
    counted = {ItemOutcome(one.became): one.many for one in found}
    return {name: many for name, many in (counted | waiting).items() if many}


def items(
    connection: Connection,
    replay_id: UUID,
    *,
    became: ItemOutcome | None,
    limit: int,
    after: UUID | None = None,
) -> Items:
    """Return a page of a replay's items, in the order of their release."""
    mine = ReplayItem.replay_id == replay_id
    beyond = [ReplayItem.delivery_id > after] if after else []
    ends = connection.execute(
        select(ReplayItem.delivery_id)
        .where(mine, *beyond)
        .order_by(ReplayItem.delivery_id)
        .offset(WINDOW)
        .limit(1)
    ).scalar_one_or_none()
    statement = (
        select(
            ReplayItem.delivery_id,
            ReplayItem.plan,
            ReplayItem.why,
            ReplayItem.error.label("before"),
            _became().label("became"),
            Delivery.event_id,
            Delivery.destination,
            Delivery.action,
            Delivery.route,
            Delivery.state,
            Delivery.error,
            Delivery.attempts,
            Delivery.next_attempt_at,
            Delivery.status,
            Delivery.sandbox,
        )
        .outerjoin(Delivery, Delivery.id == ReplayItem.delivery_id)
        .where(mine, *beyond)
    )
    if ends:
        statement = statement.where(ReplayItem.delivery_id <= ends)
    if became:
        statement = statement.where(_became() == became)
    rows = connection.execute(statement.order_by(ReplayItem.delivery_id).limit(limit + 1)).all()
    if len(rows) > limit:
        return Items(rows[:limit], rows[limit - 1].delivery_id)
    return Items(rows, ends)


def _became() -> ColumnElement[str]:
    """Return the outcome of an item, as SQL over `replay_items` and its delivery, if it exists."""
    return case(
        (ReplayItem.state == ItemState.WAITING, _word(ItemOutcome.NOT_YET)),
        (ReplayItem.state == ItemState.LEFT, _word(ItemOutcome.LEFT)),
        (Delivery.id.is_(None), _word(ItemOutcome.GONE)),
        (is_among([DeliveryState.SUCCEEDED]), _word(ItemOutcome.SUCCEEDED)),
        (
            is_among([DeliveryState.FAILED])
            & or_(
                Delivery.error == ReplayItem.error,
                Delivery.error.is_(None) & ReplayItem.error.is_(None),
            ),
            _word(ItemOutcome.SAME_ERROR),
        ),
        (is_among([DeliveryState.FAILED]), _word(ItemOutcome.OTHER_ERROR)),
        (is_among([DeliveryState.UNKNOWN]), _word(ItemOutcome.UNKNOWN)),
        (is_among([DeliveryState.SKIPPED]), _word(ItemOutcome.SKIPPED)),
        else_=_word(ItemOutcome.ON_ITS_WAY),
    )


def _word(became: ItemOutcome) -> ColumnElement[str]:
    return literal_column(f"'{became}'")
