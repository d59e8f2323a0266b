"""Secret links and codes: shown once, and in no log, history, address or audit entry."""

import logging
import re
import secrets
from datetime import UTC, datetime

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from hub.core.auth import users
from hub.core.auth.roles import Role
from hub.core.leads.acknowledgement import TOKEN_BYTES, mask_links
from hub.core.models import AuditEntry, Delivery, Session, Ticket
from tests.dashboard.board import Board
from tests.dashboard.delivering import TOWN, doubt
from tests.dashboard.people import PASSWORD, add, fields, give_factor, known

WELCOME = re.compile(r"/welcome/([A-Za-z0-9_-]{43})")
CODES = re.compile(r"<li><code>([a-z2-9-]{14})<")
ONCE = re.compile(r'name="once" value="([^"]+)"')


@pytest.fixture
def admin(board: Board) -> FlaskClient:
    give_factor(board, add(board, sees_personal=True))
    add(board, "bob", Role.VIEWER)
    return board.client(name="jane")


def form_on(board: Board, client: FlaskClient, path: str) -> dict[str, str]:
    """Return the fields of the form on a page that is sent once."""
    [mark] = ONCE.findall(client.get(path).text)
    return {"csrf_token": board.csrf(), "once": mark}


def test_a_reload_of_a_reset_shows_no_link_and_resets_nothing(board, admin):
    path = f"/users/{known(board, 'bob').id}"
    form = form_on(board, admin, path)
    first = admin.post(f"{path}/reset", data=form)
    [token, *_] = WELCOME.findall(first.text)
    again = admin.post(f"{path}/reset", data=form)
    assert again.status_code == 409
    assert "shown once" in again.text
    assert not WELCOME.search(again.text)
    assert board.app.test_client().get(f"/welcome/{token}").status_code == 200
    other = admin.post(f"{path}/reset", data=form_on(board, admin, path))
    assert WELCOME.search(other.text)
    assert token not in other.text


def test_a_reload_of_new_recovery_codes_makes_no_others(board, admin):
    form = form_on(board, admin, "/account/second-factor")
    codes = CODES.findall(admin.post("/account/recovery-codes", data=form).text)
    assert len(codes) == 10
    again = admin.post("/account/recovery-codes", data=form)
    assert (again.status_code, CODES.findall(again.text)) == (409, [])


def test_a_reload_of_an_invitation_shows_no_link(board, admin):
    form = {"csrf_token": board.csrf(), "name": "kim", "role": "viewer"}
    assert WELCOME.search(admin.post("/users", data=form).text)
    assert not WELCOME.search(admin.post("/users", data=form).text)


def test_pages_with_a_secret_are_kept_nowhere_and_named_nowhere(board, admin):
    shown = admin.post("/users", data={"csrf_token": board.csrf(), "name": "kim", "role": "viewer"})
    assert shown.headers["Cache-Control"] == "no-store"
    link = WELCOME.search(shown.text)[0]
    guest = board.app.test_client()
    refused = guest.post(link, data=fields(guest, link) | {"password": "x", "again": "x"})
    unknown = guest.get("/welcome/" + "x" * 43)
    for page in (guest.get(link), refused, unknown):
        assert page.headers["Cache-Control"] == "no-store"
        assert page.headers["Referrer-Policy"] == "strict-origin"
        assert not WELCOME.search(page.text)
    assert refused.status_code == 422


def test_over_tls_a_link_is_opened_by_a_browser_that_names_the_origin_alone(make_board):
    board = make_board(HUB_PUBLIC_URL="https://hub.example")
    origin = "https://hub.example"
    with board.hub.store.write() as connection:
        token = users.invite_first(connection, now=datetime.now(UTC))
    guest = board.app.test_client()
    page = guest.get(f"/welcome/{token}", base_url=origin)
    [csrf] = re.findall(r'name="csrf_token" value="([^"]+)"', page.text)
    form = {"csrf_token": csrf, "name": "jane", "password": PASSWORD, "again": PASSWORD}
    headers = {"Referer": f"{origin}/", "Origin": origin}
    sent = guest.post(f"/welcome/{token}", data=form, headers=headers, base_url=origin)
    assert sent.status_code == 303


def test_no_token_is_in_a_log_the_audit_or_the_database(board, admin, caplog):
    caplog.set_level(logging.DEBUG)
    csrf = {"csrf_token": board.csrf()}
    tokens = WELCOME.findall(
        admin.post("/users", data=csrf | {"name": "kim", "role": "viewer"}).text
        + admin.post(f"/users/{known(board, 'bob').id}/reset", data=csrf).text
    )
    codes = CODES.findall(admin.post("/account/recovery-codes", data=csrf).text)
    assert (len(set(tokens)), len(codes)) == (2, 10)
    guest = board.app.test_client()
    for token in set(tokens):
        guest.get(f"/welcome/{token}")
        guest.get(f"/welcome/{token}/")
        guest.get(f"/welcome/{token}?x=%00")
        guest.put(f"/welcome/{token}")
        guest.post(f"/welcome/{token}", data={"password": "x"})
        form = fields(guest, f"/welcome/{token}") | {"password": PASSWORD, "again": PASSWORD}
        assert guest.post(f"/welcome/{token}", data=form).status_code == 303
    with board.hub.store.read() as connection:
        rows = [
            repr(connection.execute(select(table.__table__)).all())
            for table in (AuditEntry, Ticket, Session)
        ]
    for secret in {*tokens, *codes}:
        assert secret not in caplog.text
        assert all(secret not in row for row in rows)


def test_the_link_of_a_lead_is_on_no_page(make_board):
    board, token = make_board(TOWN), secrets.token_urlsafe(TOKEN_BYTES)
    body = f"Jane Doe: https://hub.example/a/{token} is hers, /a/short is not"
    with board.hub.store.write() as connection:
        doubt(connection, parameters={"to": "+12025550101", "body": body})
        event_id = connection.execute(select(Delivery.event_id)).scalar_one()
    client = board.client()
    for path in (f"/events/{event_id}", "/unknown"):
        page = client.get(path).text
        assert "https://hub.example/a/*** is hers, /a/short is not" in page, path
        assert token not in page


def test_only_the_token_of_a_link_is_masked():
    tree = {"a": ["x", 1, None, f"/a/{'x' * 22}"], "b": f"/a/{'x' * 23} /b/{'x' * 22}"}
    assert mask_links(tree) == {"a": ["x", 1, None, "/a/***"], "b": tree["b"]}
