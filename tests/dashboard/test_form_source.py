"""Page of a form's source: undeclared fields by name and count, and traces that are read again."""

import json

from sqlalchemy import select

from hub.core.auth.roles import Role
from hub.core.models import RequestState, StoredEvent, StoredRequest
from tests.dashboard.board import Board

ORIGIN = "https://acme.example"
FIELDS = "name: {}, email: {type: email, required: true}"
EVIL = "<script>alert(1)</script>"
MOST_SHOWN_CHARACTERS = 64


def config(fields: str = FIELDS, origin: str = ORIGIN) -> str:
    return f"sources: {{contact: {{adapter: form, origins: ['{origin}'], fields: {{{fields}}}}}}}"


def post(board: Board, origin: str | None = None, **values: str) -> int:
    headers = {"Origin": origin} if origin else {}
    answer = board.app.test_client().post("/forms/contact", data=values, headers=headers)
    board.app.extensions["hub_intake"].counters.flush()
    return answer.status_code


def see(board: Board, role: Role = Role.ADMIN) -> str:
    answer = board.client(role, sees_personal=role is Role.ADMIN).get("/sources/contact")
    assert answer.status_code == 200
    return answer.get_data(as_text=True)


def test_the_page_says_how_many_posts_had_which_undeclared_field(make_board):
    board = make_board(config())
    assert "not declared" not in see(board)
    for n in range(3):
        post(board, email="jane@example.com", company=f"Acme {n}")
    post(board, company="Acme", mail="jane@example.com")
    for role in (Role.ADMIN, Role.VIEWER):
        text = see(board, role)
        assert "4 posts had a field <code><bdi>company</bdi>" in text
        assert "1 post had a field <code><bdi>mail</bdi>" in text
        assert "Acme" not in text


def test_a_name_that_a_stranger_typed_is_shown_as_a_text_and_no_longer_than_a_name(make_board):
    board = make_board(config())
    post(board, **{"email": "jane@example.com", EVIL: "1", "n" * 5000: "1"})
    text = see(board)
    assert EVIL not in text
    assert "&lt;script&gt;" in text
    assert "n" * MOST_SHOWN_CHARACTERS in text
    assert "n" * (MOST_SHOWN_CHARACTERS + 1) not in text


def test_a_field_that_is_declared_since_then_is_not_shown(make_board):
    board = make_board(config())
    post(board, email="jane@example.com", company="Acme")
    later = make_board(config(f"{FIELDS}, company: {{}}"))
    assert "had a field" not in see(later)


def test_a_post_of_a_foreign_page_is_taken_in_with_what_was_declared_when_it_came(make_board):
    board = make_board(config())
    foreign = "https://www.acme.example"
    values = {"email": "jane@example.com", "name": "Jane", "company": "Stray"}
    assert post(board, foreign, **values) == 403
    mended = make_board(config(f"{FIELDS}, company: {{}}", origin=foreign))
    form = {"csrf_token": mended.csrf(), "state": RequestState.REJECTED.value}
    assert mended.client().post("/sources/contact/again", data=form).status_code == 303
    with mended.hub.store.read() as connection:
        data = connection.execute(select(StoredEvent.data)).scalar_one()
        kept = connection.execute(select(StoredRequest.body)).scalar_one()
    assert data["fields"] == {"name": "Jane", "email": "jane@example.com"}
    assert kept == b"email=jane%40example.com&name=Jane"
    assert "Stray" not in json.dumps(data)


def test_of_a_foreign_post_that_is_no_form_no_body_is_kept(make_board):
    board = make_board(config())
    answer = board.app.test_client().post(
        "/forms/contact", data=b"{", content_type="application/json", headers={"Origin": "null"}
    )
    board.app.extensions["hub_intake"].counters.flush()
    assert answer.status_code == 403
    with board.hub.store.read() as connection:
        row = connection.execute(select(StoredRequest.state, StoredRequest.body)).one()
    assert row == ("rejected", None)
