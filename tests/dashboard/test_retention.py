"""Pages about what retention has deleted: they say so, and since when."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import select, update

from hub.core.auth.roles import Role
from hub.core.configuration import Retention
from hub.core.events.projections import project_some
from hub.core.ids import new_id
from hub.core.models import Attempt, HubIdentity, StoredEvent, StoredRequest
from hub.core.retention.schedule import deletions
from hub.core.retention.walk import Walk
from tests.dashboard.board import Board
from tests.dashboard.happening import end, pay
from tests.running import PLAIN

NATIVE = PLAIN.replace("{event: ", '{name: "{{ data.native.id | default(0) }}", event: ')
LATER = {"bodies": timedelta(days=91), "events": timedelta(days=401)}


def clean(board: Board, kind: str) -> None:
    """Delete what is too old of a kind, as if so many days had passed and events were folded."""
    now = datetime.now(UTC) + LATER[kind]
    delete = deletions(board.hub.configuration, now=now)[kind]
    with board.hub.store.write() as connection:
        project_some(connection, board.hub, most=100, now=now)
        assert delete(connection, Walk(kind).after, 100).deleted == 1


def request_of(board: Board, event_id: UUID) -> UUID:
    with board.hub.store.read() as connection:
        found = select(StoredEvent.request_id).where(StoredEvent.id == event_id)
        return connection.execute(found).scalar_one()


def test_an_event_without_its_body_says_so_wherever_it_was_shown(board) -> None:
    event_id = pay(board, "evt_1")
    end(board, event_id, "succeeded", attempt="accepted")
    request_id = request_of(board, event_id)
    client = board.client()
    assert "Body kept" in client.get(f"/events/{event_id}").text
    clean(board, "bodies")
    for page in (f"/events/{event_id}", f"/requests/{request_id}"):
        text = client.get(page).text
        assert "The body was deleted" in text
        assert "bodies are kept for 90d" in text
    assert "counts as no" in client.get(f"/events/{event_id}").text
    raw = client.get(f"/requests/{request_id}/raw")
    assert raw.status_code == 404
    assert "was deleted on" in raw.text
    assert client.get(f"/events/{event_id}/download").json["data"]["amount"] == 4200
    assert "will fail for the copy" in client.get(f"/events/{event_id}/copy").text


def test_an_attachment_that_is_gone_is_said_to_be(board) -> None:
    event_id = pay(board, "evt_1")
    end(board, event_id, "succeeded", attempt="accepted")
    with board.hub.store.write() as connection:
        files = {"attachments": [{"name": "roof.jpg", "content_type": "image/jpeg", "size": 9}]}
        connection.execute(update(StoredEvent).values(data=files))
    clean(board, "bodies")
    client = board.client()
    assert "(deleted with the body)" in client.get(f"/events/{event_id}").text
    answer = client.get(f"/events/{event_id}/attachments/1")
    assert answer.status_code == 404
    assert "The request&#39;s body was deleted on" in answer.text


def test_a_deleted_event_is_no_mystery(board) -> None:
    """Its key is kept; of an id without one, the time in it says what can be known."""
    event_id = pay(board, "evt_1")
    end(board, event_id, "succeeded", attempt="accepted")
    clean(board, "events")
    assert board.client(None).get(f"/events/{event_id}").status_code in (302, 303, 401)
    client = board.client()
    ago = new_id(datetime.now(UTC) - timedelta(days=500))
    for page, words in (
        (f"/events/{event_id}", "it was an event, and is deleted by retention"),
        (f"/events/{ago}", "what came at that time is deleted by retention"),
        (f"/requests/{ago}", "What came at that time is deleted by retention"),
        (f"/deliveries/{ago}", "at that time is deleted by retention"),
    ):
        answer = client.get(page)
        assert answer.status_code == 404, page
        assert words in answer.text, page
        assert "`retention.events: 400d` in hub.yaml" in answer.text
    never = client.get(f"/events/{new_id(datetime.now(UTC))}")
    assert "retention" not in never.text
    pay_again(board)


def pay_again(board: Board) -> None:
    """Post the event once more: it is a duplicate, whose page links to the deleted event."""
    from tests.running import stripe_event, stripe_signature

    body = stripe_event("evt_1")
    headers = {"Stripe-Signature": stripe_signature(body), "Content-Type": "application/json"}
    answer = board.app.test_client().post("/webhooks/stripe", data=body, headers=headers)
    assert answer.status_code == 200
    with board.hub.store.read() as connection:
        [row] = connection.execute(select(StoredRequest.__table__)).all()
    assert row.state == "duplicate"
    assert board.client().get(f"/requests/{row.id}").status_code == 200


def test_a_replay_that_needs_the_body_is_not_offered(make_board) -> None:
    board = make_board(NATIVE)
    event_id = pay(board, "evt_1")
    end(board, event_id, message="no", status=400)
    clean(board, "bodies")
    client = board.client()
    words = "he body of its request is not kept any more, and its route needs it"
    assert words in client.get(f"/events/{event_id}/replay").text
    assert words in client.get("/replays/preview?state=failed").text


def test_the_words_of_a_far_end_are_said_to_be_deleted(board) -> None:
    event_id = pay(board, "evt_1")
    end(board, event_id, message="no", status=None)
    long_ago = datetime.now(UTC) - timedelta(days=31)
    with board.hub.store.write() as connection:
        connection.execute(update(Attempt).values(message=None, started_at=long_ago))
    assert "deleted: answers are kept for 30d" in board.client().get(f"/events/{event_id}").text


def test_the_audit_log_says_from_when_on_it_is_whole(make_board) -> None:
    board = make_board(PLAIN + "retention: {audit: 730d}\n")
    client = board.client(Role.ADMIN)
    assert "are deleted" not in client.get("/audit").text
    with board.hub.store.write() as connection:
        connection.execute(update(HubIdentity).values(audited_from=datetime.now(UTC)))
    assert "are deleted: the log is kept for 730d" in client.get("/audit").text
    assert board.hub.configuration.retention != Retention()
