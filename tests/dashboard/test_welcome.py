"""One-time links: for the first account, and for setting a password."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, insert, select

from hub.core.auth import one_time_tokens, users
from hub.core.auth.one_time_tokens import Purpose
from hub.core.auth.roles import Role
from hub.core.models import SignInTry, Ticket
from tests.dashboard.board import Board
from tests.dashboard.people import (
    PASSWORD,
    add,
    fields,
    is_in,
    sign_in,
)


def welcome_token(board: Board) -> str | None:
    with board.hub.store.write() as connection:
        return users.invite_first(connection, now=datetime.now(UTC))


def make_first(board: Board, token: str, **changes: str):
    client = board.app.test_client()
    form = fields(client, "/sign-in") | {"name": "Jane", "password": PASSWORD, "again": PASSWORD}
    return client, client.post(f"/welcome/{token}", data=form | changes)


def test_the_first_link_makes_an_admin_who_is_signed_in(board):
    token = welcome_token(board)
    client, answer = make_first(board, token)
    assert (answer.status_code, answer.location) == (303, "/")
    assert is_in(client)
    with board.hub.store.read() as connection:
        assert users.named(connection, "jane").role is Role.ADMIN
    assert make_first(board, token)[1].status_code == 404
    assert welcome_token(board) is None


def test_only_the_newest_first_link_is_good(board):
    old, new = welcome_token(board), welcome_token(board)
    assert board.app.test_client().get(f"/welcome/{old}").status_code == 404
    assert board.app.test_client().get(f"/welcome/{new}").status_code == 200


def test_a_first_link_makes_no_second_account(board):
    token = welcome_token(board)
    add(board)
    assert make_first(board, token)[1].status_code == 404


def test_two_who_use_one_link_at_once_are_one_account(board):
    token = welcome_token(board)
    with ThreadPoolExecutor(2) as threads:
        answers = list(threads.map(lambda name: make_first(board, token, name=name)[1], "ab"))
    assert sorted(answer.status_code for answer in answers)[0] == 303
    with board.hub.store.read() as connection:
        assert len(users.list_all(connection)) == 1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"password": "short", "again": "short"}, "at least 12"),
        ({"password": "x" * 129, "again": "x" * 129}, "128 characters are enough"),
        ({"again": "something else"}, "not the same"),
        ({"password": "Password1234", "again": "Password1234"}, "anybody would try"),
        ({"name": "j d"}, "A name is"),
        ({"name": ""}, "A name is"),
    ],
)
def test_a_link_that_was_used_wrongly_is_still_good(board, changes, words):
    token = welcome_token(board)
    _, answer = make_first(board, token, **changes)
    assert answer.status_code == 422
    assert words in answer.text
    assert make_first(board, token)[1].status_code == 303


def test_a_link_to_set_a_password_ends_what_was_before(board):
    user = add(board)
    add(board, "boss")
    client = board.app.test_client()
    sign_in(client)
    with board.hub.store.write() as connection:
        token = one_time_tokens.issue_token(
            connection, Purpose.PASSWORD, user.id, now=datetime.now(UTC)
        )
    new = "three other words"
    guest, answer = make_first(board, token, password=new, again=new)
    assert answer.status_code == 303
    assert is_in(guest)
    assert not is_in(client)
    assert sign_in(client).status_code == 401
    assert sign_in(client, password=new).status_code == 303


@pytest.mark.parametrize("token", ["x", "%00", "..", "a" * 5000, "\u2028"])
def test_odd_links_lead_nowhere(board, token):
    assert board.app.test_client().get(f"/welcome/{token}").status_code in (404, 308)


def test_old_tickets_and_tries_are_swept(board):
    add(board)
    old = datetime.now(UTC) - timedelta(days=3)
    with board.hub.store.write() as connection:
        one_time_tokens.issue_token(connection, Purpose.PASSWORD, None, now=old - timedelta(days=1))
        connection.execute(insert(SignInTry).values(key=b"x", n=9, last_at=old, free_at=old))
    sign_in(board.app.test_client())
    welcome_token(board)
    with board.hub.store.write() as connection:
        one_time_tokens.issue_token(connection, Purpose.PASSWORD, None, now=datetime.now(UTC))
        # What is left is the minute that all unknown senders share.
        [left] = connection.execute(select(SignInTry.key)).scalars()
        assert left != b"x"
        assert connection.execute(select(func.count()).select_from(Ticket)).scalar_one() == 1
