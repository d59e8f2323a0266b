"""Look-ups by the clock: one defective answer does not keep other attempts from being looked up."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import update

from adapters import Call, Effect, LookupResult, LookupVerdict, NotSent
from hub.core.models import Attempt, Delivery
from hub.gateways.database.engine import open_database
from hub.worker.reconcile import look_up_some
from tests.core.making import NOW, Town, attempts_of, deliveries_of, lease_of


@pytest.fixture
def database(database_url):
    opened = open_database(database_url, pool_size=2)
    yield opened
    opened.engine.dispose()


LONG_AGO = NOW - timedelta(days=30)
POISON: list[Any] = [
    TypeError("'bool' object is not iterable"),
    NotSent("the line is cut"),
    LookupResult(LookupVerdict.CANNOT_TELL, "\x00 \ud800"),
    LookupResult(LookupVerdict.THERE, "found", provider_ref="SM\x00"),
]


class DoubtfulTown(Town):
    store: Any = None

    def effect(self, destination: str, action: str) -> Effect:
        return Effect.AT_MOST_ONCE

    def supports_lookup(self, destination: str, action: str) -> bool:
        return True

    @property
    def waker(self) -> Any:
        return self

    def wake(self, destinations: Any) -> None: ...


class Gate:
    """Destination client that answers the first look-up with poison, and finds all others."""

    def __init__(self, poison: Any) -> None:
        self.poison = poison
        self.first: str | None = None
        self.seen: list[str] = []

    def look_up(self, call: Call, since: Any) -> LookupResult:
        self.first = self.first or call.attempt_id
        self.seen.append(call.attempt_id)
        if call.attempt_id != self.first:
            return LookupResult(LookupVerdict.THERE, "found", provider_ref=call.attempt_id)
        if isinstance(self.poison, Exception):
            raise self.poison
        return self.poison


@pytest.mark.parametrize("poison", POISON, ids=["defect", "no answer", "no text", "no id"])
def test_a_poison_answer_stops_no_other_look_up(database, poison) -> None:
    town = DoubtfulTown()
    town.store = database
    with database.write() as connection:
        town.take_in(connection, {"id": "e1"}, {"id": "e2"})
        town.claim(connection, lease_of(connection))
        connection.execute(update(Attempt).values(state="unknown", started_at=LONG_AGO))
        connection.execute(update(Delivery).values(state="unknown"))
    client = Gate(poison)
    look_up_some(town, {"ops": client})
    assert len(set(client.seen)) == 2
    with database.read() as connection:
        states = [one.state for one in deliveries_of(connection)]
        looked = [one.looked_at or one.closed_by for one in attempts_of(connection)]
    assert "succeeded" in states
    assert all(looked)


class Absent(Gate):
    """Destination client that never finds the message, and records when it was asked."""

    def look_up(self, call: Call, since: Any) -> LookupResult:
        self.asked_at = datetime.now(UTC)
        return LookupResult(LookupVerdict.NOT_THERE, "it is not listed")


def test_a_look_counts_from_when_it_was_made_however_late_it_is_written_down(database) -> None:
    """Of two clocks that look at once one is suspended: its record is no look a minute later."""
    town = DoubtfulTown()
    town.store = database
    with database.write() as connection:
        town.take_in(connection, {"id": "e1"})
        town.claim(connection, lease_of(connection))
        connection.execute(update(Attempt).values(state="unknown", started_at=LONG_AGO))
        connection.execute(update(Delivery).values(state="unknown"))
    client = Absent(None)
    look_up_some(town, {"ops": client})
    with database.read() as connection:
        [attempt] = attempts_of(connection)
    assert (attempt.absences, attempt.looked_at <= client.asked_at) == (1, True)
