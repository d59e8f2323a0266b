"""COMMIT whose reply is lost: rows that are stored already are found, and are no duplicates."""

import psycopg
from sqlalchemy import event

from hub.app import create_app
from hub.core.inbound.ingest import ingest
from hub.core.models import RequestState, StoredEvent, StoredRequest
from tests.engine.stage import keyed
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
