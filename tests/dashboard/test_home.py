"""Start page, sources, destinations and held leads: their content and their buttons."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import insert, select, update

from hub.core.auth.roles import Role
from hub.core.ids import new_id
from hub.core.models import (
    Alert,
    AuditEntry,
    Delivery,
    Lane,
    StoredEvent,
    StoredRequest,
)
from hub.core.monitoring import alerts
from tests.dashboard.board import Board
from tests.dashboard.happening import pay
from tests.far_end import FarEnd, Reply
from tests.running import OPS_SECRET, PLAIN, STRIPE_SECRET, stripe_event

NASTY = (
    '"><img src=x onerror=alert(1)>',
    "{{7*7}}",
    "javascript:alert(1)",
    "\u202egnp.exe",
    "x" * 10_000,
    "\x01\x1b[2J",
)
NOW = datetime.now(UTC)


def see(board: Board, path: str, role: Role = Role.ADMIN, **options) -> str:
    answer = board.client(role, **options).get(path)
    assert answer.status_code == 200
    return answer.get_data(as_text=True)


def press(board: Board, path: str, role: Role = Role.OPERATOR, **fields):
    return board.client(role).post(path, data={"csrf_token": board.csrf(), **fields})


def set_all(board: Board, table, **values) -> None:
    with board.hub.store.write() as connection:
        connection.execute(update(table).values(**values))


def audited(board: Board) -> list[tuple[str, str]]:
    with board.hub.store.read() as connection:
        rows = connection.execute(
            select(AuditEntry.action, AuditEntry.subject)
            .where(AuditEntry.action != "user.add")
            .order_by(AuditEntry.id)
        )
        return [(row.action, row.subject) for row in rows]


def keep(board: Board, state: str, reason: str, **values) -> str:
    """Insert a stored request that was not ingested; return its id."""
    row_id = new_id(NOW)
    with board.hub.store.write() as connection:
        connection.execute(
            insert(StoredRequest).values(
                {"id": row_id, "source": "stripe", "state": state, "received_at": NOW,
                 "method": "POST", "url": "http://localhost/webhooks/stripe", "headers": {},
                 "body": b"{}", "size_bytes": 2, "conflict": False, "reason": reason} | values
            )
        )  # fmt: skip
    return str(row_id)


def hold(board: Board, event: str = "evt_held", **data) -> str:
    event_id = pay(board, event)
    with board.hub.store.write() as connection:
        connection.execute(Delivery.__table__.delete())
        connection.execute(
            update(StoredEvent).values(state="held", held_reason="5 links", data=data)
        )
    return str(event_id)


def test_the_first_page_of_an_empty_hub_says_where_to_begin(board):
    text = see(board, "/")
    assert "Nothing has come in yet" in text or "clock is not running" in text
    assert "/sources" in text


def test_a_failure_is_told_in_plain_words_with_its_way_to_the_replay(board):
    pay(board, "evt_1")
    set_all(board, Delivery, state="failed", finished_at=NOW, next_attempt_at=None,
            error="Twilio answered 400: 21610: unsubscribed recipient")  # fmt: skip
    text = see(board, "/")
    assert "answered STOP" in text
    assert "/deliveries?state=failed&amp;destination=ops&amp;action=post" in text


def test_an_alert_of_a_kind_that_nobody_foresaw_is_shown_and_can_be_seen_to(board):
    with board.hub.store.write() as connection:
        alerts.begin(connection, "moon is full", "event 7", "It is.", now=NOW)
        alert_id = connection.execute(select(Alert.id)).scalar_one()
    assert "Moon is full" in see(board, "/")
    assert press(board, f"/alerts/{alert_id}/end").status_code == 303
    assert "Moon is full" not in see(board, "/")
    assert press(board, f"/alerts/{alert_id}/end").status_code == 404
    assert audited(board) == [("alert.end", f"alert {alert_id}")]


def test_a_viewer_sees_no_button_and_may_press_none(board):
    pay(board, "evt_1")
    set_all(board, Lane, paused=True)
    text = see(board, "/", Role.VIEWER)
    assert "ops is paused" in text
    assert "Let it go on" not in text
    for path in ("/destinations/ops/resume", "/destinations/ops/pause", "/destinations/ops/check",
                 "/sources/stripe/sample", "/sources/stripe/again", "/held/1/release",
                 "/held/1/discard", "/alerts/1/end"):  # fmt: skip
        assert press(board, path, Role.VIEWER).status_code == 403, path
    assert board.client(Role.VIEWER).get("/sources/stripe/sample").status_code == 403


def test_a_destination_is_paused_and_let_go_on_and_both_are_audited(board):
    assert press(board, "/destinations/ops/pause").location == "/destinations/ops"
    assert "paused by operator" in see(board, "/destinations/ops")
    assert press(board, "/destinations/ops/resume", back="/").location == "/"
    assert "paused by" not in see(board, "/destinations")
    assert audited(board) == [("pause", "ops"), ("resume", "ops")]


def test_nobody_is_sent_elsewhere_after_a_button(board):
    answer = press(board, "/destinations/ops/resume", back="//evil.example")
    assert answer.location == "/destinations/ops"


def test_an_account_is_checked_by_one_call_with_no_transaction_open(make_board):
    replies = [Reply(200, b'{"results": []}'), Reply(401), Reply(0)]
    boards = []

    def behave(received):
        with boards[0].hub.store.write() as connection:  # no other transaction is writing meanwhile
            connection.execute(update(Lane).values(failures=0))
        return replies.pop(0)

    with FarEnd(behave) as far_end:
        crm = f"crm: {{adapter: hubspot, token: pat-of-the-tests, base_url: {far_end.url}}}"
        boards.append(make_board(PLAIN.replace("destinations:", f"destinations:\n  {crm}")))
        client = boards[0].client(Role.OPERATOR)
        for look, words in (
            ("good", "accepts the token"),
            ("bad", "token"),
            ("bad", "unreachable"),
        ):
            form = {"csrf_token": boards[0].csrf()}
            assert client.post("/destinations/crm/check", data=form).status_code == 303
            text = client.get("/destinations/crm").get_data(as_text=True)
            told = text.partition('class="note ')[2].partition("</p>")[0]
            assert told.startswith(look)
            assert words in told
            assert "pat-of-the-tests" not in text
    assert audited(boards[0]) == [("destination.check", "crm")] * 3


def test_a_source_tells_the_address_to_paste_and_warns_without_a_public_one(board):
    text = see(board, "/sources/stripe")
    assert "http://localhost/webhooks/stripe" in text
    assert "HUB_PUBLIC_URL" in text
    assert "Developers, then Webhooks" in text


def test_no_page_shows_a_secret(board):
    pay(board, "evt_1")
    for path in ("/", "/sources", "/sources/stripe", "/destinations", "/destinations/ops"):
        text = see(board, path)
        assert STRIPE_SECRET not in text
        assert OPS_SECRET not in text


def test_a_secret_is_told_by_its_place_and_when_it_was_used(board):
    pay(board, "evt_1")
    text = see(board, "/sources/stripe")
    assert "secrets[0]" in text
    assert re.search(r"last used <time", text)


def test_a_refused_request_says_why_and_is_verified_again(board):
    request_id = keep(
        board, "rejected", "Stripe-Signature: signed with none of this source's secrets"
    )
    text = see(board, "/sources/stripe")
    assert "another secret than this source" in text
    answer = press(board, "/sources/stripe/again", request=request_id)
    assert answer.location == "/sources/stripe"
    assert audited(board) == []  # it still does not verify: nothing was changed


def test_what_can_be_read_by_now_is_taken_in_all_at_once(board):
    for n in range(3):
        keep(board, "unreadable", "odd", body=stripe_event(f"evt_{n}"), signed_by="secrets[0]")
    keep(board, "unreadable", "odd", body=b"torn", signed_by="secrets[0]")
    client = board.client(Role.OPERATOR)
    form = {"csrf_token": board.csrf(), "state": "unreadable"}
    assert client.post("/sources/stripe/again", data=form).status_code == 303
    assert "Taken in: 3 of 4" in client.get("/sources/stripe").get_data(as_text=True)
    with board.hub.store.read() as connection:
        assert len(connection.execute(select(StoredEvent.id)).all()) == 3


def test_a_sample_says_whom_it_reaches_and_is_seen_once_it_is_sent(board):
    kind = "payment_intent.succeeded"
    text = see(board, f"/sources/stripe/sample?type={kind}")
    assert "<strong>ops</strong>, live" in text
    answer = press(board, "/sources/stripe/sample", type=kind)
    with board.hub.store.read() as connection:
        event = connection.execute(select(StoredEvent.id, StoredEvent.native_type)).one()
    assert (event.native_type, answer.location) == (kind, f"/events/{event.id}")
    assert audited(board) == [("sample.send", "source stripe")]


def test_a_held_lead_is_let_through_or_put_aside(board):
    event_id = hold(board, name="Jane Doe", message="buy links")
    assert "Jane Doe" in see(board, "/held")
    assert press(board, f"/held/{event_id}/release").location == "/held"
    with board.hub.store.read() as connection:
        assert connection.execute(select(StoredEvent.state)).scalar_one() == "matched"
    assert "Nothing is held" in see(board, "/held")
    assert press(board, f"/held/{event_id}/discard").status_code == 409


@pytest.mark.parametrize(("did", "state"), [("release", "matched"), ("discard", "discarded")])
def test_several_held_leads_are_decided_at_once(board, did, state):
    ids = [hold(board, f"evt_{n}", name=f"Lead {n}") for n in range(3)]
    with board.hub.store.write() as connection:
        connection.execute(update(StoredEvent).values(state="held", held_reason="5 links"))
    text = see(board, "/held")
    assert all(f'value="{one}"' in text for one in ids)
    press(board, f"/held/{ids[0]}/discard")
    client = board.client(Role.OPERATOR)
    fields = {"csrf_token": board.csrf(), "ids": ids[:2], "did": did}
    assert client.post("/held/several", data=fields).location == "/held"
    assert "1 lead was" in (shown := client.get("/held").text)
    assert "somebody else had decided about 1" in shown
    with board.hub.store.read() as connection:
        states = dict(connection.execute(select(StoredEvent.id, StoredEvent.state)).all())
    assert {str(one): found for one, found in states.items()} == dict(
        zip(ids, ("discarded", state, "held"), strict=True)
    )
    client.post("/held/several", data=fields | {"ids": []})
    assert "Select some leads first" in client.get("/held").text
    assert press(board, "/held/several", ids=ids[2:], did="else").status_code == 404
    assert press(board, "/held/several", Role.VIEWER, ids=ids[2:], did=did).status_code == 403


def test_a_held_lead_is_masked_for_those_who_may_not_see_people(board):
    hold(board, name="Jane Doe", email="jane@example.com", phone="+12025550123", message="hi Jane")
    text = see(board, "/held", Role.VIEWER, sees_personal=False)
    for shown in ("Jane", "example.com", "2025550123"):
        assert shown not in text
    assert ("view.personal", "held leads") not in audited(board)
    see(board, "/held", Role.ADMIN)
    assert ("view.personal", "held leads") in audited(board)


def test_what_is_not_there_is_a_404(board):
    client = board.client()
    for path in ("/sources/none", "/destinations/none", "/sources/%00", "/sources/none/sample",
                 "/destinations/" + "x" * 3000):  # fmt: skip
        assert client.get(path).status_code == 404, path
    for path, fields in (
        ("/held/nothing/release", {}),
        ("/alerts/1/end", {}),
        ("/sources/stripe/again", {}),
        ("/sources/stripe/again", {"state": "accepted"}),
        ("/sources/stripe/again", {"request": str(new_id(NOW))}),
        ("/sources/none/again", {"state": "x"}),
        ("/sources/stripe/sample", {"type": "none such"}),
        ("/destinations/none/pause", {}),
    ):
        assert press(board, path, **fields).status_code == 404, path


def test_a_page_of_held_leads_that_begins_at_no_id_is_refused_like_any_other_list(board):
    client = board.client()
    assert client.get("/held?before=").status_code == 200
    for before in ("x", "%00", "9" * 500, "%25_%"):
        assert client.get(f"/held?before={before}").status_code == 400


def test_whatever_stands_in_a_field_is_shown_and_does_nothing(board):
    for n, nasty in enumerate(NASTY):
        pay(board, f"evt_{n}")
        keep(board, "rejected", nasty)
        keep(board, "unreadable", nasty)
        with board.hub.store.write() as connection:
            alerts.begin(connection, nasty[:500] + str(n), nasty, nasty, now=NOW)
    set_all(board, Delivery, state="failed", error=NASTY[0], finished_at=NOW)
    with board.hub.store.write() as connection:
        later = NOW + timedelta(hours=1)
        values = {"blocked_reason": NASTY[0], "setbacks": 1, "blocked_until": later}
        connection.execute(update(Lane).values(**values))
    for path in ("/", "/sources/stripe", "/destinations", "/destinations/ops"):
        text = see(board, path)
        assert "<img" not in text.replace('<img src="/static', "")
        assert 'href="javascript' not in text
    hold(board, name=NASTY[0], message=NASTY[2], email=NASTY[3])
    assert "<img src=x" not in see(board, "/held")


def test_thousands_of_failures_of_one_cause_are_one_card(board):
    event_id = pay(board, "evt_many")
    with board.hub.store.write() as connection:
        connection.execute(
            insert(Delivery),
            [{"id": new_id(NOW), "event_id": event_id, "route": f"r{n}", "destination": "ops",
              "action": "post", "state": "failed", "created_at": NOW, "since": NOW,
              "finished_at": NOW, "error": "ops answered 400: no"} for n in range(3000)],
        )  # fmt: skip
    text = see(board, "/")
    assert "2,000 or more" in text
    assert text.count("See and replay") == 1
