"""Checker of the invariants that must hold after every fault, once the hub has healed."""

import time
from collections import defaultdict
from typing import Any

from sqlalchemy import exists, func, or_, select
from sqlalchemy.exc import DBAPIError

from hub.core.models import (
    DUE_STATES,
    Attempt,
    Delivery,
    DeliveryState,
    EventKey,
    Lane,
    StoredEvent,
    database_now,
)
from hub.gateways.database.engine import Database, open_database
from tests.far_end import FarEnd
from tests.faults.load import Sender

HEALED_WITHIN_S = 60.0
ENDED = (DeliveryState.SUCCEEDED, DeliveryState.FAILED, DeliveryState.SKIPPED)


class Fault:
    """Fault of the catalogue: when it was over, and its cost; its row is in the table."""

    def __init__(self, row: dict[str, Any]) -> None:
        self.row = row
        self._over_at_s: float | None = None

    def is_over(self) -> None:
        """Note that nothing is broken from now on."""
        self._over_at_s = time.monotonic()

    def check(self, url: str, far_end: FarEnd, sender: Sender) -> None:
        """Assert that every acknowledged event is stored, and on its way or done, once.

        Raises:
            AssertionError: an invariant is violated.
        """
        over_at_s = self._over_at_s or time.monotonic()
        database = open_database(url.replace("postgresql://", "postgresql+psycopg://"))
        acknowledged = sender.acknowledged()
        deadline_s = over_at_s + HEALED_WITHIN_S
        while acknowledged.keys() - reached(far_end).keys() or unfinished(database):
            if time.monotonic() > deadline_s:
                break
            time.sleep(0.2)
        first_at_s = reached(far_end)
        early = {one.event_id for one in sender.answers if one.sent_at_s <= over_at_s}
        late_s = [at_s - over_at_s for event_id, at_s in first_at_s.items() if event_id in early]
        stored = stored_events(database)
        lost = acknowledged.keys() - stored.keys()
        missing = acknowledged.keys() - first_at_s.keys()
        second = {event: keys for event, keys in keys_of(far_end).items() if len(keys) > 1}
        self.row |= {
            "lost": len(lost | missing),
            "second": sum(len(keys) - 1 for keys in second.values()),
            "heal_s": max(0.0, *late_s) if late_s else 0.0,
        }
        assert not lost, f"acknowledged and not stored: {sorted(lost)}"
        assert not second, f"sent under several keys: {second}"
        assert not missing, f"acknowledged and never sent on: {sorted(missing)}"
        assert not unfinished(database), unfinished(database)
        uncounted = {one: n for one, n in acknowledged.items() if n > 1 + stored[one]}
        assert not uncounted, f"more 2xx than receipts: {uncounted}"
        check_rows(database)
        database.engine.dispose()


def reached(far_end: FarEnd) -> dict[str, float]:
    """Return the time at which each event first reached the far end."""
    first: dict[str, float] = {}
    for one in list(far_end.received):
        if one.path == "/hook":
            first.setdefault(one.json["event"], one.at_s)
    return first


def keys_of(far_end: FarEnd) -> dict[str, set[str]]:
    """Return the keys under which each event reached the far end."""
    keys: dict[str, set[str]] = defaultdict(set)
    for one in list(far_end.received):
        if one.path == "/hook":
            keys[one.json["event"]].add(one.headers["webhook-id"])
    return keys


def stored_events(database: Database) -> dict[str, int]:
    """Return the stored events, and the number of duplicates of each."""
    with database.read() as connection:
        rows = connection.execute(select(StoredEvent.external_id, StoredEvent.duplicates))
        return {row.external_id: row.duplicates for row in rows}


def unfinished(database: Database) -> str:
    """Return the deliveries that have neither ended nor an unknown outcome, or an empty text."""
    try:
        with database.read() as connection:
            states = connection.execute(
                select(Delivery.state, func.count())
                .where(Delivery.state.not_in((*ENDED, DeliveryState.UNKNOWN)))
                .group_by(Delivery.state)
            )
            return ", ".join(f"{count} {state}" for state, count in states)
    except DBAPIError as error:
        return f"the database does not answer: {error.orig}"


def check_rows(database: Database) -> None:
    """Assert that the rows are consistent with one another."""
    work = exists().where(
        Delivery.destination == Lane.destination,
        or_(
            Delivery.state.in_(DUE_STATES) & (Delivery.next_attempt_at <= database_now()),
            Delivery.state == DeliveryState.RUNNING,
        ),
    )
    with database.read() as connection:

        def count(query: Any) -> int:
            return int(connection.execute(select(func.count()).select_from(query)).scalar_one())

        assert not count(
            select(Delivery.id)
            .where(Delivery.state.in_(DUE_STATES), Delivery.next_attempt_at.is_(None))
            .subquery()
        ), "work is open that is never due"
        assert not count(
            select(Lane.destination).where(Lane.lease_until <= database_now(), work).subquery()
        ), "a lease has ended while work waits"
        assert not count(
            select(Attempt.id)
            .join(Delivery, Delivery.id == Attempt.delivery_id)
            .where(Attempt.state == "calling", Delivery.state != DeliveryState.RUNNING)
            .subquery()
        ), "an attempt is open whose delivery is not running"
        assert count(StoredEvent) == count(EventKey), "events and their keys do not agree"
        without = ~exists().where(Delivery.event_id == StoredEvent.id)
        assert not count(select(StoredEvent.id).where(without).subquery()), "half an event"
