"""`/events`: filters, search, live updates, CSV export, and odd queries."""

import csv
import io
from urllib.parse import quote

import pytest

from hub.core.auth.roles import Role
from hub.web.dashboard import events
from tests.dashboard.happening import fold_all, pay

ODD_IDS = ["1%20OR%201=1", "-1", "0", str(2**63), "..%2f", "%00", "%27", "a" * 4000,
           "01a1fd40-bfad-775c-a9d3-zzzzzzzzzzzz", "00000000-0000-0000-0000-000000000000",
           "%F0%9F%A6%96", "٣"]  # fmt: skip
PAGES = ["/events/{}", "/events/{}/replay", "/events/{}/copy", "/events/{}/download",
         "/events/{}/attachments/1", "/requests/{}", "/requests/{}/raw"]  # fmt: skip
CHANGES = ["/events/{}/replay", "/events/{}/routes", "/events/{}/copy", "/events/{}/held",
           "/requests/{}/again"]  # fmt: skip
REFUSED = [
    {"before": "x"}, {"before": "1 OR 1=1"}, {"before": str(2**63)}, {"since": "99999999"},
    {"since": "0001-01-01"}, {"since": "9999-12-31T23:59"}, {"until": "now"}, {"since": "9999d9"},
    {"contact": "../"}, {"contact": "-1"}, {"state": "password"}, {"live": "maybe"},
    {"source": "a\x00b"}, {"type": "x" * 300}, {"q": "a\x00b"},
]  # fmt: skip
FOUND_NOTHING = [
    {"q": "a" * 100_000}, {"q": "%"}, {"q": "_"}, {"q": "%' OR 1=1 --"}, {"source": "%"},
    {"type": "%"}, {"type": "_*"}, {"type": "x*" * 60}, {"source": "nobody"},
    {"type": "zzz.*", "live": "test", "state": "matched", "since": "2d"},
]  # fmt: skip


def test_odd_ids_find_nothing_and_change_nothing(board):
    admin, token = board.client(Role.ADMIN), board.csrf()
    for odd in ODD_IDS:
        for path in PAGES:
            assert admin.get(path.format(odd)).status_code in (400, 404), path.format(odd)
        for path in CHANGES:
            answer = admin.post(path.format(odd), data={"csrf_token": token, "answer": "release",
                                                        "data": "{}"})  # fmt: skip
            assert answer.status_code in (400, 404, 405), path.format(odd)


@pytest.mark.parametrize("path", ["/events", "/events.csv"])
def test_odd_questions_are_refused_or_find_nothing(board, path):
    pay(board, "evt_1")
    fold_all(board)
    admin = board.client(Role.ADMIN)
    for query in REFUSED if path == "/events" else REFUSED[3:]:
        assert admin.get(path, query_string=query).status_code == 400, query
    for query in FOUND_NOTHING:
        answer = admin.get(path, query_string=query)
        assert answer.status_code == 200, query
        assert "evt_1" not in answer.text, query
        assert "Jane" not in answer.text, query
    assert admin.get(f"{path}?page=-1&sort=password&q=").status_code == 200


@pytest.mark.parametrize(
    "query",
    ["q=JANE%40example.com", "q=%2442.00", "q=evt_1", "source=stripe", "type=payment.*",
     "type=payment.succeeded&live=live&state=matched", "since=1h", "since=2026-01-01", "q=payment"],
)  # fmt: skip
def test_every_view_of_the_list_has_an_address(board, query):
    pay(board, "evt_1")
    fold_all(board)
    text = board.client(Role.VIEWER).get(f"/events?{query}").text
    assert "jane@example.com paid $42.00" in text


def test_pages_lead_from_one_to_the_next(board, monkeypatch):
    monkeypatch.setattr(events, "ROWS", 2)
    ids = [pay(board, f"evt_{n}") for n in range(5)]
    viewer, path, seen = board.client(Role.VIEWER), "/events?source=stripe", []
    while path:
        text = viewer.get(path).text
        seen += [one for one in reversed(ids) if str(one) in text]
        _, found, rest = text.partition('href="/events?source=stripe&amp;before=')
        path = f"/events?source=stripe&before={rest[:36]}" if found else None
    assert seen == ids[::-1]


def test_the_list_goes_on_by_asking_for_what_is_newer_alone(board):
    first = pay(board, "evt_1")
    viewer = board.client(Role.VIEWER)
    text = viewer.get("/events?type=payment.*").text
    assert f'hx-get="/events/newer?type=payment.*&amp;after={first}"' in text
    newer = f"/events/newer?type=payment.*&after={first}"
    assert viewer.get(newer, headers={"HX-Request": "true"}).status_code == 204
    second = pay(board, "evt_2")
    answer = viewer.get(newer, headers={"HX-Request": "true"})
    assert str(second) in answer.text
    assert f"/events/{first}" not in answer.text
    assert f"after={second}" in answer.text
    assert viewer.get(newer).status_code == 303
    for query in ("", "?after=x", f"?after={first}&q=jane"):
        assert viewer.get(f"/events/newer{query}").status_code == 400


@pytest.mark.parametrize("query", ["q=jane", "until=2026-01-01", f"before={'0' * 32}"])
def test_what_new_events_do_not_belong_to_does_not_go_on(board, query):
    assert 'id="tail"' not in board.client(Role.VIEWER).get(f"/events?{query}").text


def test_the_sheet_begins_no_formula_and_is_audited(board):
    for n, name in enumerate(["=cmd|' /C calc'!A0", "+1", "-2", "@SUM(A1)", "\tx", "Jane"]):
        pay(board, f"evt_{n}", shipping={"name": name}, receipt_email=f"={n}@example.com")
    answer = board.client(Role.VIEWER).get("/events.csv?source=stripe&q=")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="events.csv"'
    assert answer.mimetype == "text/csv"
    rows = list(csv.reader(io.StringIO(answer.text)))
    assert len(rows) == 7
    assert not [cell for row in rows for cell in row if cell.startswith(tuple("=+-@\t\r"))]
    assert "'=0@example.com" in rows[-1]
    with board.hub.store.read() as connection:
        [entry] = connection.exec_driver_sql(
            "SELECT actor, subject FROM audit_log WHERE action = 'export.events'"
        ).all()
    assert tuple(entry) == ("user:viewer", "events")


def test_the_sheet_is_bounded_and_comes_in_pieces(board, monkeypatch):
    monkeypatch.setattr(events, "MOST_EXPORTED", 4)
    monkeypatch.setattr(events, "EXPORTED_AT_ONCE", 3)
    for n in range(6):
        pay(board, f"evt_{n}")
    text = board.client(Role.VIEWER).get("/events.csv").text
    assert [f'"evt_{n}"' in text for n in range(6)] == [False, False, True, True, True, True]


def test_the_sheet_is_for_those_who_may_see_personal_data(board):
    viewer = board.client(Role.VIEWER, sees_personal=False)
    assert viewer.get("/events.csv").status_code == 403
    assert "events.csv" not in viewer.get("/events").text


def test_an_empty_list_says_what_would_be_there(board):
    viewer = board.client(Role.VIEWER)
    assert "No events yet" in viewer.get("/events").text
    assert "No event fits" in viewer.get(f"/events?q={quote('nobody here')}").text
