"""Grants: nobody comes by a right that they lack, for themselves or by a second account."""

import re

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from hub.core.auth import users
from hub.core.auth.roles import Role
from hub.core.errors import Refused
from hub.core.models import AuditEntry
from tests.core.making import NOW
from tests.dashboard.board import Board
from tests.dashboard.people import add, known

WELCOME = re.compile(r"http://localhost(/welcome/[A-Za-z0-9_-]+)")


def post(board: Board, client: FlaskClient, path: str, **form: str):
    return client.post(path, data={"csrf_token": board.csrf()} | form)


def change(board: Board, client: FlaskClient, name: str, **form: str):
    return post(board, client, f"/users/{known(board, name).id}/change", **form)


@pytest.fixture
def masked(board: Board) -> FlaskClient:
    """Return a client of an admin who sees no personal data."""
    return board.client(name="masked", sees_personal=False)


@pytest.fixture
def open_eyed(board: Board) -> FlaskClient:
    """Return a client of an admin who sees personal data."""
    return board.client(name="jane")


def test_nobody_gives_themselves_the_right_to_personal_data(board, masked, open_eyed):
    refused = change(board, masked, "masked", role="admin", personal="1")
    assert refused.status_code == 409
    assert "nobody gives rights to their own account" in refused.text.lower()
    assert not known(board, "masked").sees_personal
    assert change(board, open_eyed, "masked", role="admin", personal="1").status_code == 303
    assert known(board, "masked").sees_personal


def test_who_lacks_the_right_gives_it_to_no_new_account(board, masked):
    refused = post(board, masked, "/users", name="second", role="admin", personal="1")
    assert refused.status_code == 422
    assert "hub users change" in refused.text
    assert not WELCOME.search(refused.text)
    assert post(board, masked, "/users", name="second", role="admin").status_code == 200


def test_who_lacks_the_right_gives_it_to_nobody_else(board, masked):
    add(board, "bob", Role.VIEWER)
    assert change(board, masked, "bob", role="viewer", personal="1").status_code == 409
    assert change(board, masked, "bob", role="operator").status_code == 303
    assert not known(board, "bob").sees_personal


def test_who_lacks_the_right_may_keep_and_take_what_others_have(board, masked):
    board.client(Role.VIEWER, name="bob", sees_personal=True)
    assert change(board, masked, "bob", role="operator", personal="1").status_code == 303
    assert known(board, "bob").sees_personal
    assert change(board, masked, "bob", role="operator").status_code == 303
    assert not known(board, "bob").sees_personal


def test_a_reset_by_who_lacks_the_right_takes_it_away(board, masked, open_eyed):
    for name in ("bob", "kim"):
        board.client(Role.VIEWER, name=name, sees_personal=True)
    post(board, masked, f"/users/{known(board, 'bob').id}/reset")
    assert not known(board, "bob").sees_personal
    post(board, open_eyed, f"/users/{known(board, 'kim').id}/reset")
    assert known(board, "kim").sees_personal
    with board.hub.store.read() as connection:
        details = connection.execute(
            select(AuditEntry.detail)
            .where(AuditEntry.action == "user.reset")
            .order_by(AuditEntry.id)
        ).scalars()
        assert list(details) == [{"sees_personal": False}, None]


def test_the_page_offers_no_right_that_is_not_to_be_given(board, masked, open_eyed):
    for client, path, offered in (
        (masked, "/users", False),
        (open_eyed, "/users", True),
        (masked, f"/users/{known(board, 'masked').id}", False),
        (open_eyed, f"/users/{known(board, 'masked').id}", True),
        (masked, f"/users/{known(board, 'jane').id}", True),
    ):
        [box] = re.findall(r'<input type="checkbox" name="personal"[^>]*>', client.get(path).text)
        assert ("disabled" not in box) is offered, path


def test_nobody_raises_their_own_role(board):
    """An admin who was made a viewer while a form of theirs was under way stays one."""
    admin, before = add(board, "boss"), add(board, "jane")
    with board.hub.store.write() as connection:
        users.change(connection, before, role=Role.VIEWER, sees_personal=False, by=admin.id,
                     actor="x", now=NOW)  # fmt: skip
    with board.hub.store.write() as connection, pytest.raises(Refused, match="no admin"):
        users.change(connection, users.named(connection, "jane"), role=Role.ADMIN,
                     sees_personal=False, by=before.id, actor="x", now=NOW)  # fmt: skip
    assert known(board, "jane").role is Role.VIEWER


@pytest.mark.parametrize("ended", ["disable", "change", "reset"])
def test_the_links_that_somebody_made_end_with_their_rights(board, open_eyed, ended):
    board.client(name="gone")
    page = post(board, board.client(name="gone"), "/users", name="second", role="admin")
    link = WELCOME.search(page.text)[1]
    other = WELCOME.search(post(board, open_eyed, "/users", name="third", role="viewer").text)[1]
    add(board, "boss")
    guest = board.app.test_client()
    assert guest.get(link).status_code == 200
    form = {"role": "viewer"} if ended == "change" else {}
    post(board, open_eyed, f"/users/{known(board, 'gone').id}/{ended}", **form)
    assert guest.get(link).status_code == 404
    assert guest.get(other).status_code == 200
