"""Events for the dashboard's tests: posted webhooks, and deliveries that end in a given state."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select, update

from hub.core.events.projections import project_some
from hub.core.ids import new_id
from hub.core.models import Attempt, Delivery, DeliveryState, StoredEvent
from hub.core.search.indexer import index_some
from tests.dashboard.board import Board
from tests.running import stripe_event, stripe_signature


def pay(board: Board, event_id: str, *, status: int = 200, **changes: Any) -> UUID:
    """Post a Stripe payment; return the event's id."""
    return post(board, stripe_event(event_id, **changes), event_id, status=status)


def post(board: Board, body: bytes, external_id: str, *, status: int = 200) -> UUID:
    """Post a body as Stripe would; return the id of the event with that external id."""
    answer = board.app.test_client().post(
        "/webhooks/stripe",
        data=body,
        headers={"Stripe-Signature": stripe_signature(body), "Content-Type": "application/json"},
    )
    assert answer.status_code == status
    return id_of(board, external_id)


def tell(board: Board, native_type: str, event_id: str, data: dict[str, Any]) -> UUID:
    """Post a Stripe event of another type than a payment; return the event's id."""
    event = json.loads(stripe_event(event_id)) | {"type": native_type, "data": {"object": data}}
    return post(board, json.dumps(event).encode(), event_id)


def id_of(board: Board, external_id: str) -> UUID:
    with board.hub.store.read() as connection:
        return connection.execute(
            select(StoredEvent.id).where(StoredEvent.external_id == external_id)
        ).scalar_one()


def fold_all(board: Board) -> None:
    """Run the projections and the search indexer, as worker and clock do afterwards."""
    with board.hub.store.write() as connection:
        while project_some(connection, board.hub, most=100, now=datetime.now(UTC)):
            pass
        while index_some(connection, most=100):
            pass


def delivery_of(board: Board, event_id: UUID) -> Any:
    with board.hub.store.read() as connection:
        return connection.execute(
            select(Delivery.__table__).where(Delivery.event_id == event_id)
        ).one()


def end(
    board: Board,
    event_id: UUID,
    state: str = DeliveryState.FAILED,
    *,
    attempt: str = "rejected",
    **answer: Any,
) -> UUID:
    """Give an event's only delivery one attempt, and end it in this state; return its id."""
    delivery = delivery_of(board, event_id)
    at = datetime.now(UTC)
    error = answer.get("message")
    with board.hub.store.write() as connection:
        connection.execute(
            update(Delivery)
            .where(Delivery.id == delivery.id)
            .values(state=state, attempts=1, error=error, next_attempt_at=None, finished_at=at)
        )
        values = {
            "id": new_id(at),
            "delivery_id": delivery.id,
            "n": 1,
            "key": str(delivery.id),
            "state": attempt,
            "parameters": {"body": "Hello Jane"},
            "started_at": at,
            "ended_at": at,
        }
        connection.execute(insert(Attempt).values(values | answer))
    return delivery.id
