"""COMMIT whose reply is lost: rows that are stored already are found, and are no duplicates."""

import logging

import psycopg
import pytest
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError

from hub.app import create_app
from hub.core.database_errors import DatabaseErrorKind, classify
from hub.core.inbound.ingest import ingest
from hub.core.models import RequestState, StoredEvent, StoredRequest
from tests.engine.stage import keyed
from tests.far_end import Reply
from tests.running import stripe_event, stripe_signature


def test_the_same_write_done_twice_is_one_event_and_no_duplicate(stage) -> None:
    worker = stage.worker_context(keyed())
    prepared = stage.prepared(worker.hub, "evt_1")
    for _ in range(2):
        with stage.store.write() as connection:
            taken = ingest(connection, prepared)
        assert taken.state == RequestState.ACCEPTED
        assert len(taken.new_event_ids) == 1
    assert [row.state for row in stage.rows(StoredRequest)] == ["accepted"]
    assert [row.duplicates for row in stage.rows(StoredEvent)] == [0]
    assert stage.delivery.state == "pending"
    assert stage.put(worker, "evt_1").state == RequestState.DUPLICATE


def test_a_webhook_whose_commit_was_not_heard_of_is_stored_once_and_accepted(
    postgresql_stage,
) -> None:
    stage = postgresql_stage
    app = create_app(*stage.settings(keyed()))
    lost = []

    def lose(connection, cursor, statement, *_) -> None:
        """Close the connection after the commit, so that the reply is lost."""
        if "INSERT INTO event_keys" in statement and not lost:
            lost.append(statement)
            connection.connection.dbapi_connection.close()
            raise psycopg.OperationalError("the reply is lost")

    event.listen(app.extensions["hub"].store.engine, "after_cursor_execute", lose)
    body = stripe_event("evt_1")
    headers = {"Stripe-Signature": stripe_signature(body), "Content-Type": "application/json"}
    answer = app.test_client().post(
        "/webhooks/stripe", data=body, headers=headers, base_url="http://localhost"
    )
    app.extensions["hub"].store.engine.dispose()
    assert lost
    assert answer.status_code == 200
    assert [row.state for row in stage.rows(StoredRequest)] == ["accepted"]
    assert [row.duplicates for row in stage.rows(StoredEvent)] == [0]
    assert stage.delivery.state == "pending"


@pytest.mark.parametrize("write", ["claim", "record"])
def test_a_worker_whose_commit_was_not_heard_of_calls_once(
    postgresql_stage, monkeypatch, write
) -> None:
    """A claim whose COMMIT may have failed is not called; a record is written once more."""
    stage = postgresql_stage
    worker = stage.worker_context(keyed())
    stage.put(worker, "evt_1")
    commit = psycopg.Connection.commit
    state = {"claim": "pending", "record": "running"}[write]
    lost = []

    def lose(connection: psycopg.Connection) -> None:
        """Close the connection after the commit, so that the reply is lost."""
        found = stage.delivery.state if not lost else None
        commit(connection)
        if found == state and stage.delivery.state != state:
            lost.append(write)
            connection.close()
            raise psycopg.OperationalError("the reply is lost")

    monkeypatch.setattr(psycopg.Connection, "commit", lose)
    with pytest.raises(DBAPIError) as caught:
        stage.drain(worker)
    assert classify(caught.value) is DatabaseErrorKind.UNAVAILABLE
    assert lost == [write]
    assert len(stage.far_end.received) == {"claim": 0, "record": 1}[write]
    stage.end_leases()
    stage.drain(stage.worker_context(keyed()))
    stage.make_due()
    stage.drain(stage.worker_context(keyed()))
    assert len(stage.far_end.received) == 1
    assert stage.delivery.state == "succeeded"


def test_a_write_is_one_line_and_a_delivery_that_did_not_succeed_its_own(stage, caplog) -> None:
    caplog.set_level(logging.INFO, "hub.worker.batch")
    worker = stage.worker_context(keyed())
    stage.put(worker, "evt_1")
    stage.drain(worker)
    assert [one.getMessage() for one in _lines(caplog)] == ["calls of ops ended: 1 succeeded"]
    caplog.clear()
    stage.far_end.behave = lambda _: Reply(400, b"no")
    stage.put(worker, "evt_2")
    stage.drain(worker)
    own, line = _lines(caplog)
    assert own.levelname == "WARNING"
    assert own.getMessage().startswith(f"delivery {stage.deliveries[-1].id} failed: ")
    assert line.getMessage() == "calls of ops ended: 1 failed"


def _lines(caplog) -> list[logging.LogRecord]:
    """Return what this worker's writes have logged: other threads of the process may log too."""
    return [record for record in caplog.records if record.name == "hub.worker.batch"]
