"""Protection of events at its edge: open alerts by tens of thousands."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from sqlalchemy import Engine, event, insert, select

from hub.core.delivery.evidence import delivery_subject
from hub.core.ids import new_id
from hub.core.leads.acknowledgement import NOBODY_TOOK_IT, lead_subject
from hub.core.models import Alert, Attempt, Delivery, StoredEvent
from hub.core.monitoring import alerts
from tests.core.making import NOW
from tests.core.retention.aging import Attic

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
