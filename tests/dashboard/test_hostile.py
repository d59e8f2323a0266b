"""Hostile input on pages: extreme times, odd characters, bodies that are not text."""

import json

import pytest
from sqlalchemy import select, update

from hub.core.auth.roles import Role
from hub.core.models import StoredEvent
from tests.dashboard.delivering import TOWN, doubt
from tests.dashboard.happening import pay, tell

EDGES = ("0001-01-01T00:00:00Z", "0001-01-01T00:00", "9999-12-31T23:59:59Z", "1999-12-31T23:59Z",
         "9999-12-31T23:59:59-12:00")  # fmt: skip


@pytest.mark.parametrize("at", EDGES)
def test_a_time_at_the_edge_of_the_calendar_is_refused(make_board, at):
    board = make_board(TOWN)
    admin, token = board.client(Role.ADMIN), {"csrf_token": board.csrf()}
    for name in ("since", "until"):
        for path in ("/deliveries", "/replays/preview"):
            assert admin.get(path, query_string={name: at}).status_code == 400, path
        form = token | {"token": "form-0001", name: at}
        assert admin.post("/replays", data=form).status_code == 400
    where = {"destination": "sms", "action": "send", "minute": at}
    assert admin.get("/unknown/alike", query_string=where).status_code == 400


@pytest.mark.parametrize("odd", [{"a": "\ud800"}, {"\udfff": 1}, {"a": ["\ud800\ud800"]}])
def test_an_event_with_half_a_character_can_be_looked_at(board, odd):
    event_id = tell(board, "x.y", "evt_1", odd)
    with board.hub.store.read() as connection:
        request_id = connection.execute(select(StoredEvent.request_id)).scalar_one()
    for sees_personal in (True, False):
        viewer = board.client(Role.VIEWER, name=f"v{sees_personal}", sees_personal=sees_personal)
        for path in (f"/events/{event_id}", f"/requests/{request_id}"):
            answer = viewer.get(path)
            assert answer.status_code == 200, path
            assert ("\\ud" in answer.text) is sees_personal, path


def test_nul_in_a_reason_or_a_name_is_no_fault_of_the_database(make_board):
    board = make_board(TOWN)
    event_id = pay(board, "evt_1")
    with board.hub.store.write() as connection:
        connection.execute(update(StoredEvent).values(state="held", data={"name": "Jane"}))
        doubt(connection)
    admin = board.client(Role.ADMIN)
    form = {"csrf_token": board.csrf(), "reason": "sp\x00am"}
    assert admin.post(f"/held/{event_id}/discard", data=form).status_code == 303
    where = {"destination": "s\x00ms", "action": "send", "minute": "2026-11-01T00:00Z"}
    assert admin.get("/unknown/alike", query_string=where).status_code == 400


def test_names_and_values_of_every_kind_are_taken_into_a_copy(board):
    event_id = pay(board, "evt_1")
    admin = board.client(Role.ADMIN)
    for data in ({"amount": 1, "currency": ["u"]}, {"attachments": [1, {"size": -5}]},
                 {"name": {"a": 1}, "email": ["x"]}, {"": 1, "…": 2}, {"a": "\ud800"}):  # fmt: skip
        form = {"csrf_token": board.csrf(), "data": json.dumps(data)}
        made = admin.post(f"/events/{event_id}/copy", data=form)
        assert admin.get(made.location).status_code == 200, data
