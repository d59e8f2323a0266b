"""`/events/<id>` and `/requests/<id>`: their content and their actions."""

import json
import threading
from datetime import UTC, datetime
from uuid import UUID

import pytest
from sqlalchemy import select, update

from adapters import InboundRequest
from hub.core.auth.roles import Role
from hub.core.inbound.ingest import store_rejected
from hub.core.models import AuditEntry, Delivery, EventCopy, StoredEvent
from tests.dashboard.happening import delivery_of, end, fold_all, id_of, pay, post, tell
from tests.running import PLAIN, stripe_event, stripe_signature

REFUSAL = {"message": "127.0.0.1 answered 400: no such field", "status": 400}
ROUTES = (
    PLAIN
    + """
  large-only:
    on: payment.succeeded
    when: "data.amount > 100000"
    do: ops.post
    with: {body: {a: "{{ data.amount }}"}}
  test-only: {on: "*", live: test, do: ops.post, with: {body: x}}
  leads-only: {on: lead.submitted, do: ops.post, with: {body: x}}
  off: {on: "*", enabled: false, do: ops.post, with: {body: x}}
  broken:
    on: payment.succeeded
    when: "data.currency > 5"
    do: ops.post
    with: {body: x}
  late:
    on: payment.succeeded
    when: "contact.phone"
    do: ops.post
    with: {body: x}
"""
)


def audited(board, action):
    with board.hub.store.read() as connection:
        entries = select(AuditEntry.__table__).where(AuditEntry.action == action)
        return connection.execute(entries).all()


def test_the_page_says_what_happened_and_why_it_failed(board):
    event_id = pay(board, "evt_1")
    delivery_id = end(board, event_id, **REFUSAL)
    fold_all(board)
    text = board.client(Role.VIEWER).get(f"/events/{event_id}").text
    for words in ("jane@example.com paid $42.00", "refused it as wrong", f"delivery-{delivery_id}",
                  "Hello Jane", "payment_intent.succeeded", "stripe-signature", "it takes every",
                  "evt_1", "secrets[0]", "Download the exact body"):  # fmt: skip
        assert words.lower() in text.lower(), words
    assert "Replay…" not in text


@pytest.mark.parametrize(
    ("route", "words"),
    [
        ("large-only", "Its condition does not hold."),
        ("test-only", "It takes tests only, and this is a real event."),
        ("leads-only", "It takes lead.submitted only."),
        ("off", "It is switched off."),
        ("broken", "Its condition failed."),
        ("late", "Its condition is decided when the delivery is due."),
        ("all-to-ops", "It takes every such event."),
    ],
)
def test_the_page_says_why_each_route_took_it_or_not(make_board, sqlite_url, route, words):
    board = make_board(ROUTES)
    text = board.client(Role.VIEWER).get(f"/events/{pay(board, 'evt_1')}").text
    row = text.partition('aria-label="Routes of today')[2].partition(f">{route}<")[2]
    assert words in row.partition("</tr>")[0]


def test_what_a_condition_looked_at_is_shown(make_board):
    board = make_board(ROUTES)
    text = board.client(Role.VIEWER).get(f"/events/{pay(board, 'evt_1')}").text
    row = text.partition(">large-only<")[2].partition("</tr>")[0]
    assert "data.amount &gt; 100000" in row
    assert "<dt>data.amount</dt>" in row
    assert "4200" in row


def test_duplicates_and_conflicts_are_shown_with_their_requests(board):
    event_id = pay(board, "evt_1")
    pay(board, "evt_1")
    pay(board, "evt_1", amount_received=4300, amount=4300)
    viewer = board.client(Role.VIEWER)
    text = viewer.get(f"/events/{event_id}").text
    assert "It came 3 times" in text
    assert "a conflict" in text
    request = text.partition('href="/requests/')[2]
    pages = [viewer.get(f"/requests/{one[:36]}").text for one in text.split('href="/requests/')[1:]]
    assert request
    assert any("contradicts an earlier one" in page for page in pages)


def test_a_failed_delivery_is_replayed_once_by_two_people_at_once(board):
    event_id = pay(board, "evt_1")
    delivery_id = end(board, event_id, **REFUSAL)
    people = [board.client(Role.OPERATOR, name=name) for name in ("ann", "bob")]
    form = {"csrf_token": board.csrf(), "delivery": delivery_id, "plan": f"{delivery_id}:anew"}
    preview = people[0].get(f"/events/{event_id}/replay?delivery={delivery_id}").text
    assert f'value="{delivery_id}:anew"' in preview
    assert delivery_of(board, event_id).state == "failed"
    barrier = threading.Barrier(2)

    def press(client):
        barrier.wait()
        assert client.post(f"/events/{event_id}/replay", data=form).status_code == 303

    threads = [threading.Thread(target=press, args=[one]) for one in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    texts = [one.get(f"/events/{event_id}").text for one in people]
    assert sorted("somebody was quicker" in text for text in texts) == [False, True]
    assert delivery_of(board, event_id).key_n == 1
    assert len(audited(board, "replay.anew")) == 1


def test_what_has_happened_needs_a_reason_to_happen_again(board):
    event_id = pay(board, "evt_1")
    delivery_id = end(board, event_id, "succeeded", attempt="accepted")
    operator, path = board.client(Role.OPERATOR), f"/events/{event_id}/replay"
    assert "a second time" in operator.get(path).text
    form = {"csrf_token": board.csrf(), "plan": f"{delivery_id}:again"}
    operator.post(path, data=form)
    assert operator.post(path, data=form | {"again": "1", "reason": " "}).status_code == 422
    assert delivery_of(board, event_id).state == "succeeded"
    operator.post(path, data=form | {"again": "1", "reason": "she lost it"})
    assert delivery_of(board, event_id).state == "pending"
    [entry] = audited(board, "replay.again")
    assert (entry.actor, entry.reason) == ("user:operator", "she lost it")


def test_todays_routes_make_up_once_for_what_an_older_file_missed(make_board):
    board = make_board(PLAIN.replace('on: "*"', "on: lead.submitted"))
    event_id = pay(board, "evt_1")
    later = make_board(PLAIN)
    operator = later.client(Role.OPERATOR)
    text = operator.get(f"/events/{event_id}").text
    assert "Today&#39;s routes would do more" in text or "Today's routes would do more" in text
    for words in ("On its way: all-to-ops.", "Nothing was missing"):
        answer = operator.post(f"/events/{event_id}/routes", data={"csrf_token": later.csrf()})
        assert answer.status_code == 303
        assert words in operator.get(f"/events/{event_id}").text
    assert delivery_of(later, event_id).state == "pending"
    [entry] = audited(later, "event.apply_routes")
    assert entry.detail["routes"] == ["all-to-ops"]
    assert "By the file of then" in operator.get(f"/events/{event_id}").text


def test_an_edited_copy_is_a_new_event_and_the_original_stays(board):
    event_id = pay(board, "evt_1")
    operator, path = board.client(Role.OPERATOR), f"/events/{event_id}/copy"
    assert "jane@example.com" in operator.get(path).text
    data = {"email": "joe@example.com", "amount": 4200, "currency": "USD"}
    answer = operator.post(path, data={"csrf_token": board.csrf(), "data": json.dumps(data)})
    assert answer.status_code == 303
    copy_id = answer.location.rpartition("/")[2]
    text = operator.get(answer.location).text
    for words in ("A copy that operator made", f"/events/{event_id}", "joe@example.com paid $42.00",
                  "<code>email</code>", "jane@example.com"):  # fmt: skip
        assert words in text, words
    assert f"/events/{copy_id}" in operator.get(f"/events/{event_id}").text
    with board.hub.store.read() as connection:
        rows = {
            row.id: row
            for row in connection.execute(select(StoredEvent.__table__).order_by(StoredEvent.id))
        }
        [made] = connection.execute(select(EventCopy.__table__)).all()
    original, copied = rows[event_id], rows[UUID(copy_id)]
    assert original.data["email"] == "jane@example.com"
    assert copied.external_id == f"copy:{copy_id}"
    assert (copied.type, copied.source) == (original.type, original.source)
    assert ["email", "jane@example.com", "joe@example.com"] in made.changes
    assert delivery_of(board, copied.id).state == "pending"
    assert len(audited(board, "event.copy")) == 1
    viewer = board.client(Role.VIEWER, name="eve", sees_personal=False)
    text = viewer.get(f"/events/{copy_id}").text
    assert "joe@" not in text
    assert "jane@" not in text


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"a": 1, "a": 2}', "{" * 500, "x" * 300_000]
)
def test_what_is_no_data_is_not_copied_and_not_lost(board, text):
    event_id = pay(board, "evt_1")
    operator = board.client(Role.OPERATOR)
    form = {"csrf_token": board.csrf(), "data": text}
    answer = operator.post(f"/events/{event_id}/copy", data=form)
    assert answer.status_code == 422
    assert 'role="alert"' in answer.text
    assert text[:200].replace('"', "&#34;") in answer.text


def test_changes_are_for_operators_and_copies_for_those_who_see_all(board):
    event_id = pay(board, "evt_1")
    form = {"csrf_token": board.csrf(), "data": "{}"}
    viewer = board.client(Role.VIEWER)
    masked = board.client(Role.OPERATOR, name="masked", sees_personal=False)
    for path in ("replay", "routes", "copy", "held"):
        assert viewer.post(f"/events/{event_id}/{path}", data=form).status_code == 403
    for path in ("replay", "copy"):
        assert viewer.get(f"/events/{event_id}/{path}").status_code == 403
    assert masked.get(f"/events/{event_id}/copy").status_code == 403
    assert masked.post(f"/events/{event_id}/copy", data=form).status_code == 403
    assert masked.get(f"/events/{event_id}").status_code == 200


def test_a_rejected_request_is_verified_again_once_the_secret_is_right(board):
    body = stripe_event("evt_1")
    headers = {"stripe-signature": stripe_signature(body), "content-type": "application/json"}
    at = datetime.now(UTC)
    request = InboundRequest("POST", "http://localhost/webhooks/stripe", headers, body, at)
    with board.hub.store.write() as connection:
        request_id = store_rejected(connection, source="stripe", request=request, reason="no <b>")
        wrong = store_rejected(
            connection,
            source="stripe",
            request=InboundRequest("POST", "http://x/", {}, body, at),
            reason="the header Stripe-Signature is missing",
        )
    operator, form = board.client(Role.OPERATOR), {"csrf_token": board.csrf()}
    text = operator.get(f"/requests/{request_id}").text
    assert "No &lt;b&gt;." in text
    assert "Verify again" in text
    assert operator.post(f"/requests/{wrong}/again", data=form).location.endswith(str(wrong))
    assert "still does not verify" in operator.get(f"/requests/{wrong}").text
    answer = operator.post(f"/requests/{request_id}/again", data=form)
    assert answer.location == f"/events/{id_of(board, 'evt_1')}"
    assert operator.get(f"/requests/{request_id}").status_code == 404
    assert len(audited(board, "request.again")) == 1
    assert board.client(Role.VIEWER).post(f"/requests/{wrong}/again", data=form).status_code == 403


def test_exact_bytes_are_saved_and_never_run(board):
    event_id = tell(board, "x.y", "evt_1", {"a": "<script>alert(1)</script>"})
    viewer = board.client(Role.VIEWER)
    text = viewer.get(f"/events/{event_id}").text
    request_id = text.partition('href="/requests/')[2][:36]
    answer = viewer.get(f"/requests/{request_id}/raw")
    assert answer.data.startswith(b"{")
    assert answer.content_type.startswith("text/plain")
    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    answer = viewer.get(f"/events/{event_id}/download")
    assert answer.get_json()["type"] == "stripe.x.y"
    assert answer.headers["Content-Disposition"].startswith("attachment")
    masked = board.client(Role.VIEWER, name="masked", sees_personal=False)
    assert masked.get(f"/requests/{request_id}/raw").status_code == 403


def test_a_body_that_is_no_text_is_shown_byte_by_byte(board):
    event_id = pay(board, "evt_1")
    with board.hub.store.write() as connection:
        connection.exec_driver_sql(
            "UPDATE inbound_requests SET body = "
            + ("'\\x00ff10'::bytea" if connection.dialect.name == "postgresql" else "x'00ff10'")
        )
    text = board.client(Role.VIEWER).get(f"/events/{event_id}").text
    assert "000000  00 ff 10" in text


def test_cause_and_effect_lead_to_each_other(board):
    event_id = pay(board, "evt_1")
    delivery_id = end(board, event_id, "succeeded", attempt="accepted", provider_ref="their-9")
    news = tell(board, "x.y", "evt_2", {"id": "o_1"})
    with board.hub.store.write() as connection:
        told = {"delivery_id": str(delivery_id), "hub_attempt": f"{delivery_id}.1"}
        connection.execute(
            update(StoredEvent).where(StoredEvent.id == news).values(data=told, indexed=False)
        )
    fold_all(board)
    viewer = board.client(Role.VIEWER)
    assert f"/events/{news}" in viewer.get(f"/events/{event_id}").text
    assert f"/events/{event_id}#delivery-{delivery_id}" in viewer.get(f"/events/{news}").text


def test_a_person_has_all_events_together(board):
    ids = [pay(board, f"evt_{n}") for n in range(3)]
    fold_all(board)
    viewer = board.client(Role.VIEWER)
    text = viewer.get(f"/events/{ids[0]}").text
    assert all(f'href="/events/{one}"' in text for one in ids[1:])
    contact = text.partition('href="/events?contact=')[2][:36]
    assert viewer.get(f"/events?contact={contact}").text.count("paid $42.00") >= 3


def test_an_event_page_goes_on_while_something_is_under_way(board):
    event_id = pay(board, "evt_1")
    viewer = board.client(Role.VIEWER)
    assert 'hx-trigger="every 3s"' in viewer.get(f"/events/{event_id}").text
    with board.hub.store.write() as connection:
        connection.execute(update(Delivery).values(state="succeeded"))
    assert 'hx-trigger="every 3s"' not in viewer.get(f"/events/{event_id}").text


def test_an_event_of_a_source_that_is_gone_still_has_its_page(board):
    event_id = post(board, stripe_event("evt_1"), "evt_1")
    with board.hub.store.write() as connection:
        connection.execute(update(StoredEvent).values(source="gone"))
        connection.exec_driver_sql("UPDATE inbound_requests SET source = 'gone'")
    admin = board.client(Role.ADMIN)
    for path in ("", "/replay", "/copy", "/download"):
        assert admin.get(f"/events/{event_id}{path}").status_code == 200
