"""Deliveries for the dashboard's tests: inserted into the tables, in any state a test needs."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, insert, select, update

from hub.core.ids import new_id
from hub.core.models import Attempt, Delivery, StoredEvent, StoredRequest

TOWN = """
site: {name: Acme Roofing, country: US, timezone: America/New_York}
sources:
  stripe: {adapter: stripe, secrets: ["${STRIPE_WEBHOOK_SECRET}"]}
destinations:
  ops: {adapter: http, url: "${FAR_END}/hook", secret: "${OPS_SECRET}", timeout: 5s}
  sms: {adapter: twilio, base_url: "${FAR_END}", account_sid: ACaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa,
        auth_token: 0123456789abcdef0123456789abcdef, from: "+15005550006"}
  play: {adapter: slack}
routes:
  all-to-ops:
    on: payment.succeeded
    live: any
    do: ops.post
    with: {body: {event: "{{ event.external_id }}"}}
  receipt-text:
    on: payment.succeeded
    live: any
    do: sms.send
    with: {to: "{{ data.phone }}", body: "Thank you, {{ data.name }}."}
  tell-slack:
    on: payment.succeeded
    live: any
    do: play.post
    with: {text: "{{ data.name }} paid"}
"""
ACTIONS = {"ops": ("all-to-ops", "post"), "sms": ("receipt-text", "send"),
           "play": ("tell-slack", "post")}  # fmt: skip
JANE = {"name": "Jane Doe", "email": "jane@example.com", "phone": "+12025550101",
        "amount": 4200, "currency": "USD"}  # fmt: skip


def put(
    connection: Connection,
    count: int = 1,
    *,
    destination: str = "ops",
    state: str = "failed",
    error: str | None = "127.0.0.1: refused the connection",
    data: dict[str, Any] | None = None,
    at: datetime | None = None,
    event_type: str = "payment.succeeded",
    **values: Any,
) -> list[UUID]:
    """Insert events, each with one delivery in this state; return the deliveries' ids."""
    start = at or datetime.now(UTC) - timedelta(minutes=10)
    route, action = ACTIONS[destination]
    requests, events, deliveries = [], [], []
    for n in range(count):
        moment = start + timedelta(milliseconds=n)
        request_id, event_id = new_id(moment), new_id(moment)
        requests.append(
            {"id": request_id, "source": "stripe", "state": "accepted", "received_at": moment,
             "method": "POST", "url": "http://localhost/webhooks/stripe", "headers": {},
             "body": b"{}", "size_bytes": 2, "conflict": False}
        )  # fmt: skip
        events.append(
            {"id": event_id, "request_id": request_id, "source": "stripe", "type": event_type,
             "native_type": "payment_intent.succeeded", "external_id": f"evt_{event_id.hex}",
             "occurred_at": moment, "received_at": moment, "state": "matched", "live": True,
             "data": JANE if data is None else data, "config_version": "0" * 12, "folded": True}
        )  # fmt: skip
        deliveries.append(
            {"id": new_id(moment), "event_id": event_id, "route": route, "action": action,
             "destination": destination, "state": state, "created_at": moment, "since": moment,
             "error": error, "attempts": 0, "finished_at": moment, **values}
        )  # fmt: skip
    connection.execute(insert(StoredRequest), requests)
    connection.execute(insert(StoredEvent), events)
    connection.execute(insert(Delivery), deliveries)
    return [row["id"] for row in deliveries]


def try_once(
    connection: Connection, ids: Sequence[UUID], state: str, *, at: datetime | None = None,
    **values: Any,
) -> None:  # fmt: skip
    """Insert one attempt in this state for each delivery."""
    started = at or datetime.now(UTC) - timedelta(minutes=9)
    given = {"parameters": {}, "started_at": started} | values
    connection.execute(
        insert(Attempt),
        [
            {"id": new_id(started), "delivery_id": one, "n": 1, "key": str(one), "state": state}
            | given
            for one in ids
        ],
    )
    connection.execute(update(Delivery).where(Delivery.id.in_(ids)).values(attempts=1))


def doubt(connection: Connection, count: int = 1, **values: Any) -> list[UUID]:
    """Insert texts with an unknown outcome; return the deliveries' ids."""
    error = "127.0.0.1: no whole answer came within 20 s"
    ids = put(connection, count, destination="sms", state="unknown", error=error)
    parameters = {"to": "+12025550101", "body": "Thank you, Jane Doe."}
    try_once(connection, ids, "unknown", **{"parameters": parameters} | values)
    return ids


def states(town: Any) -> list[str]:
    """Return the states of all deliveries of a board."""
    with town.hub.store.read() as connection:
        return sorted(connection.execute(select(Delivery.state)).scalars())


def text_of(answer: Any) -> str:
    """Return the visible text of a page."""
    said = re.sub(r"<[^>]+>", " ", answer.get_data(as_text=True))
    return " ".join(said.replace("&#39;", "'").split())
