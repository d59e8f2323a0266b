"""Second step of a sign-in: authenticator codes, and recovery codes for a lost device."""

import re
from datetime import UTC, datetime

import pyotp
from flask.testing import FlaskClient
from sqlalchemy import update

from hub.core.models import Ticket, User
from hub.gateways.totp import SecretBox
from tests.dashboard.board import SECRET_KEY
from tests.dashboard.people import (
    PASSWORD,
    add,
    fields,
    give_factor,
    is_in,
    known,
    sign_in,
)
from tests.running import PLAIN


def give_code(client: FlaskClient, code: str, **more: str):
    form = fields(client, "/sign-in/code") | {"code": code} | more
    return client.post("/sign-in/code", data=form)


def test_with_a_second_factor_the_password_alone_opens_nothing(board):
    secret, _ = give_factor(board, add(board))
    client = board.app.test_client()
    answer = sign_in(client, next="/account")
    assert answer.location == "/sign-in/code?next=/account"
    assert not is_in(client)
    assert give_code(client, "000000").status_code == 401
    assert not is_in(client)
    answer = give_code(client, pyotp.TOTP(secret).now(), next="/account")
    assert (answer.status_code, answer.location) == (303, "/account")
    assert is_in(client)


def test_a_code_is_good_once(board):
    secret, _ = give_factor(board, add(board))
    code = pyotp.TOTP(secret).now()
    clients = [board.app.test_client() for _ in range(2)]
    for client in clients:
        sign_in(client)
    assert [give_code(client, code).status_code for client in clients] == [303, 401]


def test_a_recovery_code_is_good_once_however_it_is_typed(board):
    _, codes = give_factor(board, add(board))
    typed = codes[0].upper().replace("-", " ")
    clients = [board.app.test_client() for _ in range(2)]
    for client in clients:
        sign_in(client)
    answers = [give_code(client, typed, recovery="1") for client in clients]
    assert [answer.status_code for answer in answers] == [303, 401]
    assert len(set(codes)) == 10


def test_codes_are_not_guessed_by_trying(board):
    give_factor(board, add(board))
    client = board.app.test_client()
    sign_in(client)
    form = fields(client, "/sign-in/code")
    statuses = [
        client.post("/sign-in/code", data=form | {"code": f"{n:06}"}).status_code for n in range(20)
    ]
    assert set(statuses) == {401, 429}
    assert statuses.count(401) < 10


def test_the_password_s_half_is_good_for_five_minutes_and_once(board):
    secret, _ = give_factor(board, add(board))
    client = board.app.test_client()
    sign_in(client)
    with board.hub.store.write() as connection:
        connection.execute(update(Ticket).values(ends_at=datetime.now(UTC)))
    assert give_code(client, pyotp.TOTP(secret).now()).status_code == 401
    assert client.get("/sign-in/code").location.startswith("/sign-in")


def test_a_factor_that_cannot_be_read_any_more_leaves_the_recovery_codes(board):
    user = add(board)
    _, codes = give_factor(board, user)
    with board.hub.store.write() as connection:
        locked = SecretBox("another SECRET_KEY").encrypt("A" * 32, str(user.id))
        connection.execute(update(User).values(totp_secret=locked))
    client = board.app.test_client()
    sign_in(client)
    assert "SECRET_KEY" in give_code(client, "123456").text
    assert give_code(client, codes[3]).status_code == 303


def test_a_required_second_factor_is_set_up_before_anything_else(make_board):
    board = make_board(PLAIN + "users: {second_factor: required}\n")
    add(board)
    client = board.app.test_client()
    sign_in(client)
    assert client.get("/events").location == "/account/second-factor?next=/events"
    form = fields(client, "/account/second-factor")
    secret = re.search(r'data-copy="([A-Z2-7 ]+)"', client.get("/account/second-factor").text)
    opened = SecretBox(SECRET_KEY).decrypt(form["locked"], str(known(board, "jane").id))
    assert secret
    assert opened
    done = client.post("/account/second-factor", data=form | {"code": pyotp.TOTP(opened).now()})
    assert len(re.findall(r"<li><code>", done.text)) == 10
    assert is_in(client)
    off = client.post("/account/second-factor/off", data=form | {"password": PASSWORD})
    assert off.status_code == 409
