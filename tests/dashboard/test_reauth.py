"""Re-authentication: with a second factor, the password alone is proof of nothing."""

import re
from datetime import timedelta

import pyotp
import pytest
from flask.testing import FlaskClient

from hub.core.auth import throttle
from tests.dashboard.board import Board
from tests.dashboard.people import (
    PASSWORD,
    add,
    audited,
    fields,
    give_factor,
    known,
    sign_in,
    wait_eleven_minutes,
)

NEW = "seven bikes and a goat"
FORMS: dict[str, dict[str, str]] = {
    "/prove": {"password": PASSWORD, "next": "/users"},
    "/account/second-factor/off": {"password": PASSWORD},
    "/account/password": {"old": PASSWORD, "password": NEW, "again": NEW},
}


@pytest.fixture
def factor(board: Board) -> tuple[str, list[str]]:
    """Give jane a second factor; return its secret and her recovery codes."""
    return give_factor(board, add(board))


@pytest.fixture
def client(board: Board, factor: tuple[str, list[str]]) -> FlaskClient:
    """Return a client of jane's whose proof is eleven minutes old."""
    client = board.client(name="jane")
    wait_eleven_minutes(board)
    return client


def post(board: Board, client: FlaskClient, path: str, **more: str) -> int:
    form = FORMS[path] | {"csrf_token": board.csrf()} | more
    return client.post(path, data=form).status_code


def was_done(board: Board, client: FlaskClient, path: str) -> bool:
    """Return whether what the form at a path is for has happened."""
    if path == "/prove":
        return client.get("/prove?next=/users").status_code == 303
    if path == "/account/password":
        return audited(board, "password.change") == 1
    return not known(board, "jane").has_second_factor


@pytest.mark.parametrize("path", FORMS)
def test_the_password_alone_is_not_enough(board, client, path):
    assert post(board, client, path) == 401
    assert post(board, client, path, code="000000") == 401
    assert not was_done(board, client, path)


@pytest.mark.parametrize("path", FORMS)
def test_password_and_code_are_enough(board, client, factor, path):
    assert post(board, client, path, code=pyotp.TOTP(factor[0]).now()) == 303
    assert was_done(board, client, path)


@pytest.mark.parametrize("path", FORMS)
def test_a_recovery_code_does_too_and_is_used_up(board, client, factor, path):
    code = factor[1][0]
    assert post(board, client, path, code=code.upper()) == 303
    assert was_done(board, client, path)
    if path != "/account/second-factor/off":
        wait_eleven_minutes(board)
        words = {"old": NEW} if path == "/account/password" else {}
        assert post(board, client, path, code=code, **words) == 401


@pytest.mark.parametrize("path", FORMS)
def test_the_code_of_the_sign_in_is_not_good_again(board, factor, path):
    client = board.app.test_client()
    sign_in(client)
    code = pyotp.TOTP(factor[0]).now()
    form = fields(client, "/sign-in/code") | {"code": code}
    assert client.post("/sign-in/code", data=form).status_code == 303
    wait_eleven_minutes(board)
    again = client.post(path, data=fields(client, "/account") | FORMS[path] | {"code": code})
    assert again.status_code == 401
    assert not was_done(board, client, path)


@pytest.mark.parametrize("path", FORMS)
def test_neither_password_nor_code_is_found_by_trying(board, client, monkeypatch, path):
    monkeypatch.setattr(throttle, "WAITS", [timedelta(minutes=10)] * 10)
    statuses = [post(board, client, path, code=f"{n:06}") for n in range(10)]
    assert statuses == [401] * 5 + [429] * 5


def test_a_wrong_password_uses_no_code_up(board, client, factor):
    code = pyotp.TOTP(factor[0]).now()
    assert post(board, client, "/prove", password="not mine", code=code) == 401
    assert post(board, client, "/prove", code=code) == 303


def test_new_recovery_codes_need_the_proof(board, client, factor):
    form = {"csrf_token": board.csrf()}
    sent = client.post("/account/recovery-codes", data=form)
    assert sent.location.startswith("/prove")
    post(board, client, "/prove", code=factor[1][0])
    made = client.post("/account/recovery-codes", data=form)
    assert len(re.findall(r"<li><code>([a-z2-9-]{14})<", made.text)) == 10


def test_the_forms_ask_for_a_code_where_there_is_a_factor(board, client):
    add(board, "bob")
    plain = board.client(name="bob")
    for path in ("/prove", "/account"):
        assert 'name="code"' in client.get(path).text
        assert 'name="code"' not in plain.get(path).text
    post(board, client, "/prove", code="000000")
    assert 'name="code"' in client.get("/prove").text


def test_without_a_factor_the_password_is_enough(board):
    add(board, "bob")
    client = board.client(name="bob")
    wait_eleven_minutes(board)
    assert post(board, client, "/prove") == 303
