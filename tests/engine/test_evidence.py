"""Attempts are committed before the first byte of a call; callbacks race with its record."""

from datetime import UTC, datetime
from threading import Thread

from sqlalchemy import select, text, update

from hub.core.delivery.evidence import confirm
from hub.core.models import Attempt, Delivery
from tests.engine.stage import eventually, once
from tests.far_end import Reply


def test_a_far_end_finds_the_attempt_in_the_database_when_it_is_called(stage) -> None:
    """I1, I9: committed, open, with the parameters that it was sent."""
    seen = []

    def look(received) -> Reply:
        with stage.store.read() as connection:
            row = connection.execute(select(Attempt.state, Attempt.parameters)).one()
        seen.append((row.state, row.parameters["text"] in received.body.decode()))
        return Reply(200, b"ok")

    stage.far_end.behave = look
    worker = stage.worker_context(once())
    stage.put(worker, "evt_1")
    stage.drain(worker)
    assert seen == [("calling", True)]
    assert stage.delivery.state == "succeeded"


def test_news_of_a_call_that_is_being_recorded_waits_and_dies_of_no_deadlock(
    postgresql_stage,
) -> None:
    """The record locks the attempt, then the delivery; the callback must use the same order."""
    stage = postgresql_stage
    worker = stage.worker_context(once())
    stage.put(worker, "evt_1")
    stage.die_calling(worker)
    [attempt] = stage.attempts
    errors: list[BaseException] = []

    def tell() -> None:
        try:
            with stage.store.write() as connection:
                confirm(connection, attempt.id, seen_ref="SM1", by="webhook", said="x",
                         now=datetime.now(UTC))  # fmt: skip
        except BaseException as error:  # noqa: BLE001 - the test asks for it
            errors.append(error)

    waiting = text("SELECT 1 FROM pg_locks WHERE NOT granted LIMIT 1")
    with stage.store.write() as connection:
        connection.execute(update(Attempt).values(state="accepted"))
        teller = Thread(target=tell)
        teller.start()
        with stage.store.read() as watching:
            eventually(lambda: watching.execute(waiting).first())
        connection.execute(update(Delivery).values(state="succeeded"))
    teller.join(10)
    assert errors == []
    assert [row.seen_ref for row in stage.attempts] == ["SM1"]
