"""Files of an event in an e-mail: read again for the call, never stored with its parameters."""

import json
from base64 import b64decode
from datetime import UTC, datetime
from threading import Lock
from uuid import UUID

import pytest
from sqlalchemy.exc import OperationalError

import tests.engine.stage as stages
from adapters import InboundRequest
from hub.core.inbound.ingest import ingest
from hub.core.models import StoredRequest
from hub.worker import batch
from tests.adapters.mailing import BASIC, CONTENT_TYPE, SECRET, body_of
from tests.far_end import Reply
from tests.receiving import prepare

CONFIG = f"""
sources: {{post: {{adapter: sendgrid_inbound, secrets: [{SECRET}]}}}}
destinations:
  email: {{adapter: sendgrid, base_url: "${{FAR_END}}", from: "hello@acme.example"KEY}}
routes:
  forward:
    on: email.received
    do: email.send
    with:
      to: "{{{{ data.to }}}}"
      cc: [office@acme.example, "{{{{ data.email }}}}"]
      subject: "{{{{ data.subject }}}}"
      text: "{{{{ data.text }}}}"
      attachments: "{{{{ data.attachments }}}}"
"""
LIVE = CONFIG.replace("KEY", ", api_key: SG.test_key_of_no_account")
SANDBOX = CONFIG.replace("KEY", "")
PLAN, PHOTO = b"a,b\r\n\x00\xff", bytes(range(256)) * 2000


@pytest.fixture
def stage(stage, monkeypatch):
    monkeypatch.setattr(stages, "SOURCE", "")
    stage.far_end.behave = lambda _: Reply(202, b"")
    return stage


def receive(stage, worker) -> None:
    """Take in an e-mail with two files."""
    body = body_of(BASIC, ("attachment1", "plan.csv", PLAN), ("attachment2", "photo.jpg", PHOTO))
    request = InboundRequest(
        "POST", "http://hub/webhooks/post", CONTENT_TYPE, body, datetime.now(UTC), SECRET
    )
    with stage.store.write() as connection:
        ingest(connection, prepare(worker.hub, request, "post"))


def test_an_e_mail_is_passed_on_to_several_people_with_its_files(stage) -> None:
    worker = stage.worker_context(LIVE)
    receive(stage, worker)
    stage.drain(worker)
    assert stage.delivery.state == "succeeded"
    [call] = stage.far_end.received
    sent = call.json
    assert [one["filename"] for one in sent["attachments"]] == ["plan.csv", "photo.jpg"]
    assert [b64decode(one["content"]) for one in sent["attachments"]] == [PLAN, PHOTO]
    [envelope] = sent["personalizations"]
    assert [one["email"] for one in envelope["to"]] == ["hello@inbound.example.com"]
    assert [one["email"] for one in envelope["cc"]] == ["office@acme.example", "jane@example.org"]
    [attempt] = stage.attempts
    assert [one["name"] for one in attempt.parameters["attachments"]] == ["plan.csv", "photo.jpg"]
    assert len(json.dumps(attempt.parameters)) < 1000


LEAD = """
sources: {contact: {adapter: form, fields: {name: {}, photo: {type: file, accept: [.jpg]}}}}
destinations: {email: {adapter: sendgrid, base_url: "${FAR_END}", from: "hello@acme.example",
                       api_key: SG.test_key_of_no_account}}
routes:
  tell:
    on: lead.submitted
    do: email.send
    with: {to: [office@acme.example], subject: A lead, text: Look., attachments: ["roof.jpg"]}
"""


def test_a_lead_s_photograph_goes_along_by_its_name(stage) -> None:
    worker = stage.worker_context(LEAD)
    body = body_of({"name": "Jane"}, ("photo", "roof.jpg", PHOTO))
    request = InboundRequest(
        "POST", "http://hub/forms/contact", CONTENT_TYPE, body, datetime.now(UTC)
    )
    with stage.store.write() as connection:
        ingest(connection, prepare(worker.hub, request, "contact"))
    stage.drain(worker)
    [call] = stage.far_end.received
    [sent] = call.json["attachments"]
    assert (sent["filename"], sent["type"]) == ("roof.jpg", "image/jpeg")
    assert b64decode(sent["content"]) == PHOTO


def test_without_the_body_there_is_no_e_mail_and_the_delivery_says_so(stage) -> None:
    worker = stage.worker_context(LIVE)
    receive(stage, worker)
    stage.change(StoredRequest, body=None)
    stage.drain(worker)
    assert stage.far_end.received == []
    assert stage.delivery.state == "failed"
    assert "2 of 2 are not among the event's 0 files" in stage.delivery.error


def test_a_database_that_does_not_answer_meanwhile_is_asked_again_and_nothing_is_sent(
    stage, monkeypatch
) -> None:
    def fails(*_: object) -> None:
        raise OperationalError("select", None, Exception("gone"))

    worker = stage.worker_context(LIVE)
    receive(stage, worker)
    monkeypatch.setattr(batch, "attachments_of", fails)
    stage.drain(worker)
    assert stage.far_end.received == []
    assert stage.delivery.state == "retrying"
    assert (
        stage.delivery.error == "the event's files could not be read (OperationalError): not sent"
    )
    monkeypatch.undo()
    stage.make_due()
    stage.drain(worker)
    assert stage.delivery.state == "succeeded"
    assert len(stage.far_end.received) == 1


def test_files_are_read_one_at_a_time_and_only_where_they_are_named(stage, monkeypatch) -> None:
    """A body may have 30 MB, and the threads of a worker share few connections."""
    worker, busy, read = stage.worker_context(LIVE), Lock(), []
    original = batch.attachments_of

    def reads(connection, inbound, delivery_id: UUID):
        assert busy.acquire(blocking=False)
        try:
            read.append(delivery_id)
            return original(connection, inbound, delivery_id)
        finally:
            busy.release()

    monkeypatch.setattr(batch, "attachments_of", reads)
    config = LIVE.replace('attachments: "{{ data.attachments }}"', "attachments: []")
    receive(stage, worker)
    stage.drain(stage.worker_context(config))
    assert stage.delivery.state == "succeeded"
    assert read == []
    for _ in range(6):
        with stage.store.write() as connection:
            connection.exec_driver_sql("DELETE FROM event_keys")
        receive(stage, worker)
    stage.drain(worker)
    assert {row.state for row in stage.deliveries} == {"succeeded"}
    assert len(read) == 6


def test_the_sandbox_records_the_e_mail_without_the_whole_of_its_files(stage) -> None:
    worker = stage.worker_context(SANDBOX)
    receive(stage, worker)
    stage.drain(worker)
    assert stage.far_end.received == []
    assert stage.delivery.state == "succeeded"
    [attempt] = stage.attempts
    small, large = attempt.request["body"]["attachments"]
    assert b64decode(small["content"]) == PLAN
    assert large["content"].endswith("… (682668 characters)")
    assert len(large["content"]) < 200


def test_files_that_retention_has_deleted_are_said_to_be(stage) -> None:
    worker = stage.worker_context(LIVE)
    receive(stage, worker)
    stage.change(StoredRequest, body=None, body_deleted_at=datetime(2026, 11, 21, tzinfo=UTC))
    stage.drain(worker)
    assert stage.far_end.received == []
    assert stage.delivery.state == "failed"
    assert stage.delivery.error == (
        "not sent: its attachments are gone, the request's body was deleted on 2026-11-21 "
        "(`retention.bodies` in hub.yaml)"
    )
