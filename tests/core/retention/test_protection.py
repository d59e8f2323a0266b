"""Protection of events at its edges: what is yet to be folded, and tens of thousands of alerts."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from sqlalchemy import Engine, event, insert, select, update

from hub.core.delivery.evidence import delivery_subject
from hub.core.events.projections import project_some
from hub.core.ids import new_id
from hub.core.leads.acknowledgement import NOBODY_TOOK_IT, lead_subject
from hub.core.models import Alert, Attempt, Contact, Delivery, StoredEvent
from hub.core.monitoring import alerts
from hub.core.retention import events
from hub.core.retention.protection import is_needed
from tests.core.making import NOW
from tests.core.retention.aging import OLD, Attic, count

MANY = 40_000
# More than a step looks at, with all that belongs to it.
MOST_PARAMETERS = 2_000


@contextmanager
def parameters_of(engine: Engine) -> Iterator[list[int]]:
    """Yield the numbers of parameters of the statements that are sent to the database."""
    numbers: list[int] = []

    def note(*called: Any) -> None:
        numbers.append(0 if called[5] else len(called[3]))

    event.listen(engine, "before_cursor_execute", note)
    yield numbers
    event.remove(engine, "before_cursor_execute", note)


def test_an_event_stays_until_it_is_folded_into_its_contact(attic: Attic, town) -> None:
    with attic.database.write() as connection:
        [event_id] = attic.store(connection, OLD, "e1", data={"email": "jane@example.com"})
        attic.attempt(connection, event_id, "succeeded")
    assert not attic.clean().keys() & {"events", "bodies"}
    with attic.database.write() as connection:
        assert project_some(connection, town, most=10, now=NOW) == 1
    assert attic.clean()["events"] == 1
    with attic.database.read() as connection:
        assert count(connection, StoredEvent) == 0
        assert count(connection, Contact) == 1


def test_an_event_that_is_to_be_folded_anew_is_noticed_under_its_lock(
    attic: Attic, monkeypatch
) -> None:
    """A fetch, or a person who releases a lead, can make it pending after it was looked at."""
    with attic.database.write() as connection:
        attic.old(connection)
    free = is_needed

    def beside(connection: Any) -> Any:
        found = free(connection)
        connection.execute(update(StoredEvent).values(folded=False))
        return found & StoredEvent.folded

    monkeypatch.setattr(events, "is_needed", beside)
    assert attic.walk("events") == 0
    with attic.database.read() as connection:
        assert count(connection, StoredEvent) == 1


def test_forty_thousand_open_alerts_cost_a_step_no_long_list(attic: Attic) -> None:
    with attic.database.write() as connection:
        told, quiet, lead = (attic.old(connection, name) for name in ("told", "quiet", "lead"))
        [delivery_id] = connection.execute(
            select(Delivery.id).where(Delivery.event_id == told)
        ).scalars()
        wanted = [
            (alerts.DOUBLE_EFFECT, delivery_subject(delivery_id)),
            (NOBODY_TOOK_IT, lead_subject(lead)),
            *((alerts.ENDS_WORKERS, delivery_subject(new_id(NOW))) for _ in range(MANY // 2)),
            *((NOBODY_TOOK_IT, lead_subject(new_id(NOW))) for _ in range(MANY // 2)),
        ]
        connection.execute(
            insert(Alert),
            [{"id": new_id(NOW), "kind": kind, "subject": subject, "message": "", "began_at": NOW}
             for kind, subject in wanted],
        )  # fmt: skip
    with parameters_of(attic.database.engine) as numbers:
        found = attic.clean()
    assert (found["events"], found["answers"]) == (1, 2)
    assert max(numbers) < MOST_PARAMETERS
    with attic.database.read() as connection:
        left: set[UUID] = set(connection.execute(select(StoredEvent.id)).scalars())
        assert left == {told, lead}
        assert quiet not in left
        kept = select(Attempt.delivery_id).where(Attempt.message.is_not(None))
        assert connection.execute(kept).scalars().all() == [delivery_id]
