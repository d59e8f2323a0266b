"""Snapshots of every `--json` row: programs read these, so names, order and notation are fixed.

The rows are inserted with fixed ids and times; each command's output is in `json_rows/`.
"""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Connection, insert

from hub.core.models import (
    Acknowledgement,
    Alert,
    Assignment,
    Attempt,
    AuditEntry,
    Contact,
    Delivery,
    StoredEvent,
    StoredRequest,
)
from tests.cli.commanding import Desk

SNAPSHOTS = Path(__file__).parent / "json_rows"
AT = datetime(2026, 11, 20, 12, 0, 0, 123456, tzinfo=UTC)


def id_of(kind: int, n: int) -> UUID:
    """Return a UUIDv7 of the n-th second after `AT`; `kind` keeps those of two tables apart."""
    milliseconds = int(AT.timestamp() * 1000) + n * 1000
    return UUID(int=milliseconds << 80 | 7 << 76 | kind << 64 | 0b10 << 62 | n)


REQUEST, EVENT, DELIVERY, ATTEMPT, ALERT, AUDIT, CONTACT = range(1, 8)
SNAPSHOTS_OF = {
    "requests": ("requests",),
    "requests_rejected": ("requests", "--state", "rejected"),
    "events": ("events",),
    "events_filtered": ("events", "--type", "payment.*", "--live", "--source", "stripe"),
    "events_by_external_id": ("events", "--external-id", "evt_3"),
    "events_before": ("events", "--limit", "1", "--before", str(id_of(EVENT, 3))),
    "deliveries": ("deliveries",),
    "deliveries_failed": ("deliveries", "--state", "failed", "--route", "tell"),
    "deliveries_of_event": ("deliveries", "--event", str(id_of(EVENT, 1))),
    "unknown": ("unknown",),
    "alerts": ("alerts",),
    "alerts_ended": ("alerts", "--ended"),
    "audit": ("audit",),
    "held": ("held",),
    "show_event": ("show", str(id_of(EVENT, 1))),
    "show_delivery": ("show", str(id_of(DELIVERY, 2))),
    "show_request": ("show", str(id_of(REQUEST, 1))),
}


def fill(connection: Connection) -> None:
    """Insert rows into every table that a list shows, in each state that changes a row's shape."""

    def add(table: Any, **values: Any) -> None:
        connection.execute(insert(table).values(**values))

    add(Contact, id=id_of(CONTACT, 1), name="Jane Doe", email="jane@example.com",
        phone="+12025550123", created_at=AT, updated_at=AT)  # fmt: skip
    for n, state, reason in (
        (1, "accepted", None),
        (2, "duplicate", None),
        (3, "accepted", None),
        (4, "rejected", "no signature header"),
        (5, "unreadable", "the body is not JSON"),
    ):
        add(
            StoredRequest,
            id=id_of(REQUEST, n),
            source="stripe",
            state=state,
            received_at=AT + timedelta(seconds=n),
            method="POST",
            url="https://hub.example/webhooks/stripe",
            headers={"content-type": "application/json"},
            body=b'{"id":"evt_%d"}' % n,
            size_bytes=14,
            signed_by="secrets[0]" if state != "rejected" else None,
            conflict=n == 2,
            reason=reason,
            event_id=id_of(EVENT, 1) if n in (1, 2) else None,
        )
    for n, kind, state, values in (
        (1, "payment.succeeded", "matched", {"contact_id": id_of(CONTACT, 1), "duplicates": 1}),
        (2, "payment.failed", "unmatched", {"live": False}),
        (3, "stripe.payout.paid", "matched", {"backfilled": True}),
        (4, "lead.submitted", "held", {"held_reason": "the trap was filled in"}),
    ):
        add(StoredEvent, **{
            "id": id_of(EVENT, n),
            "request_id": id_of(REQUEST, min(n, 3)),
            "source": "stripe",
            "type": kind,
            "native_type": f"native.{n}",
            "external_id": f"evt_{n}",
            "occurred_at": AT - timedelta(hours=n),
            "received_at": AT + timedelta(seconds=n),
            "state": state,
            "live": True,
            # In the order in which PostgreSQL keeps the keys of `jsonb`: the shorter name first.
            "data": {"odd": [None, {}], "name": "Jane Doe", "amount": 4200, "currency": "USD"},
            "data_error": "one field was left out" if n == 3 else None,
            "config_version": "0123456789ab",
            "folded": True,
        } | values)  # fmt: skip
    for n, route, state, values in (
        (1, "note", "succeeded", {"provider_ref": "ref_1", "status": "delivered"}),
        (2, "tell", "unknown", {"error": "the answer was lost"}),
        (3, "keep", "retrying", {"next_attempt_at": AT + timedelta(minutes=5), "error": "503"}),
        (4, "tell", "failed", {"error": "gave up after 12 attempts: 503", "sandbox": True}),
    ):
        add(Delivery, **{
            "id": id_of(DELIVERY, n),
            "event_id": id_of(EVENT, 1 if n < 4 else 3),
            "route": route,
            "destination": "team",
            "action": "post",
            "state": state,
            "created_at": AT,
            "since": AT,
            "attempts": 1,
            "tries": 1,
        } | values)  # fmt: skip
        add(
            Attempt,
            id=id_of(ATTEMPT, n),
            delivery_id=id_of(DELIVERY, n),
            n=1,
            key=f"{id_of(DELIVERY, n)}.0",
            state={"succeeded": "accepted", "unknown": "unknown"}.get(state, "rejected"),
            parameters={"text": "Hello", "amount": 4200},
            sandbox=n == 4,
            request={"method": "POST"} if n == 4 else None,
            started_at=AT + timedelta(seconds=n),
            ended_at=AT + timedelta(seconds=n + 1) if state != "unknown" else None,
            status=200 if n == 1 else None,
            code="E1" if n == 4 else None,
            message="ok" if n == 1 else None,
            provider_ref="ref_1" if n == 1 else None,
            closed_by="answer" if n == 1 else None,
            evidence=[{"at": "2026-11-20T12:05:00Z", "by": "lookup", "said": "no such message"}]
            if state == "unknown"
            else None,
            absences=1 if state == "unknown" else 0,
            looked_at=AT + timedelta(minutes=5) if state == "unknown" else None,
        )
    for n, ended in ((1, None), (2, AT + timedelta(hours=1))):
        add(
            Alert,
            id=id_of(ALERT, n),
            kind="a source is silent",
            subject="stripe",
            message="Nothing came for 3 hours.",
            began_at=AT + timedelta(minutes=n),
            ended_at=ended,
        )
    for n, reason in ((1, None), (2, "she called")):
        add(
            AuditEntry,
            id=id_of(AUDIT, n),
            at=AT + timedelta(minutes=n),
            actor="cli:jane",
            action="delivery.settle",
            subject=f"delivery {id_of(DELIVERY, 2)}",
            reason=reason,
            detail={"as": "arrived"} if reason else None,
        )
    add(Assignment, event_id=id_of(EVENT, 1), assign="leads", person="lee", name="Lee", rule=0,
        why="the first rule", n=1, decided_at=AT)  # fmt: skip
    add(Acknowledgement, event_id=id_of(EVENT, 1), person="lee", name="Lee", how="the link",
        actor="lead", at=AT + timedelta(minutes=2))  # fmt: skip


@pytest.fixture
def filled(desk_anywhere) -> Desk:
    with desk_anywhere.store.write() as connection:
        fill(connection)
    return desk_anywhere


@pytest.mark.parametrize("name", SNAPSHOTS_OF)
def test_the_rows_of_a_command_are_those_of_its_snapshot(filled, name: str) -> None:
    said = filled.run(*SNAPSHOTS_OF[name], "--json")
    assert said.code == 0, said.err
    # Compared as text, because the order of the names is part of the interface.
    assert (
        json.dumps(said.json, indent=1) == (SNAPSHOTS / f"{name}.json").read_text("utf-8").rstrip()
    )


def test_every_snapshot_belongs_to_a_command() -> None:
    assert {path.stem for path in SNAPSHOTS.iterdir()} == SNAPSHOTS_OF.keys()
