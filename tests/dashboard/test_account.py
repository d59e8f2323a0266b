"""Account page: password, second factor, sessions, and confirmation of the password."""

import re

import pyotp
import pytest

from hub.core.auth.roles import Role
from hub.gateways.totp import SecretBox, step_of
from tests.core.making import NOW
from tests.dashboard.board import SECRET_KEY
from tests.dashboard.people import (
    PASSWORD,
    add,
    audited,
    fields,
    give_factor,
    is_in,
    known,
    sign_in,
    signed_in,
    wait_eleven_minutes,
)

NEW = "seven bikes and a goat"


def change_password(client, **changes):
    form = {"old": PASSWORD, "password": NEW, "again": NEW} | changes
    return client.post("/account/password", data=fields(client, "/account") | form)


def test_a_changed_password_is_the_only_one_and_the_only_browser(board):
    add(board)
    here, there = signed_in(board), signed_in(board)
    assert change_password(here).location == "/account"
    assert is_in(here)
    assert not is_in(there)
    assert sign_in(there).status_code == 401
    assert sign_in(there, password=NEW).status_code == 303
    assert audited(board, "password.change") == 1


@pytest.mark.parametrize(
    ("changes", "status", "words"),
    [
        ({"old": "not mine"}, 401, "not your password"),
        ({"old": ""}, 401, "not your password"),
        ({"password": "short", "again": "short"}, 422, "at least 12"),
        ({"again": "another"}, 422, "not the same"),
        ({"password": "jane jane jane", "again": "jane jane jane"}, 422, "name"),
    ],
)
def test_a_password_is_not_changed_without_the_old_one_and_a_good_one(
    board, changes, status, words
):
    add(board)
    client = signed_in(board)
    answer = change_password(client, **changes)
    assert answer.status_code == status
    assert words in answer.text
    assert sign_in(board.app.test_client()).status_code == 303


def test_the_old_password_is_not_guessed_by_trying(board):
    add(board)
    client = signed_in(board)
    statuses = [change_password(client, old=f"guess {n}").status_code for n in range(10)]
    assert statuses[-1] == 429


def test_sessions_are_listed_and_ended_one_by_one_or_all(board):
    add(board)
    here, phone, desk = (signed_in(board) for _ in range(3))
    page = here.get("/account", headers={"User-Agent": "Firefox"}).text
    assert page.count("</span> this one") == 1
    [first, _] = re.findall(r'action="(/account/sessions/[^"/]+/end)"', page)
    assert here.post(first, data=fields(here, "/account")).location == "/account"
    assert [is_in(one) for one in (here, phone, desk)] == [True, True, False]
    here.post("/account/sessions/end-others", data=fields(here, "/account"))
    assert [is_in(one) for one in (here, phone, desk)] == [True, False, False]
    assert audited(board, "session.end") == 2


def test_nobody_ends_the_session_of_somebody_else(board):
    add(board)
    add(board, "mallory", Role.VIEWER)
    jane, other, mallory = signed_in(board), signed_in(board), signed_in(board, "mallory")
    [path] = re.findall(r'action="(/account/sessions/[^"/]+/end)"', jane.get("/account").text)
    assert mallory.post(path, data=fields(mallory, "/account")).status_code == 404
    assert is_in(other)


@pytest.mark.parametrize("session_id", ["x", "0", "-1", "%00", "1 OR 1=1"])
def test_odd_sessions_are_not_there(board, session_id):
    add(board)
    client = signed_in(board)
    path = f"/account/sessions/{session_id}/end"
    assert client.post(path, data=fields(client, "/account")).status_code == 404


def set_up(client, code=None):
    """Turn on the second factor with the page's form."""
    form = fields(client, "/account/second-factor")
    page = client.get("/account/second-factor").text
    assert "data:image/svg+xml" in page
    return client.post("/account/second-factor", data=form | {"code": code or "000000"})


def test_a_second_factor_is_on_once_its_code_was_given(board):
    user = add(board)
    client = signed_in(board)
    assert set_up(client).status_code == 422
    assert not known(board, "jane").has_second_factor
    form = fields(client, "/account/second-factor")
    secret = SecretBox(SECRET_KEY).decrypt(form["locked"], str(user.id))
    code = pyotp.TOTP(secret).now()
    codes = client.post("/account/second-factor", data=form | {"code": code})
    assert len(re.findall(r"<li><code>[a-z2-9-]{14}<", codes.text)) == 10
    assert known(board, "jane").has_second_factor
    assert audited(board, "second_factor.on") == 1
    with board.hub.store.read() as connection:
        kept = connection.exec_driver_sql("SELECT totp_secret FROM users").scalar_one()
    assert secret not in kept


def test_a_secret_of_somebody_else_is_not_taken(board):
    mallory = add(board, "mallory", Role.VIEWER)
    add(board)
    client = signed_in(board)
    form = fields(client, "/account/second-factor")
    secret = pyotp.random_base32()
    form["locked"] = SecretBox(SECRET_KEY).encrypt(secret, str(mallory.id))
    answer = client.post("/account/second-factor", data=form | {"code": pyotp.TOTP(secret).now()})
    assert answer.status_code == 422
    assert not known(board, "jane").has_second_factor


def test_new_recovery_codes_are_shown_once(board):
    give_factor(board, add(board))
    client = board.client(name="jane")
    answer = client.post("/account/recovery-codes", data={"csrf_token": board.csrf()})
    codes = re.findall(r"<li><code>([a-z2-9-]{14})<", answer.text)
    assert len(set(codes)) == 10
    assert codes[0] not in client.get("/account/second-factor").text


def test_what_is_dear_asks_for_the_password_and_comes_back(board):
    add(board)
    add(board, "bob", Role.VIEWER)
    client = signed_in(board)
    wait_eleven_minutes(board)
    path = f"/users/{known(board, 'bob').id}"
    form = fields(client, "/users")
    sent = client.post(f"{path}/disable", data=form, headers={"Referer": f"http://localhost{path}"})
    assert (sent.status_code, sent.location) == (303, f"/prove?next={path}")
    assert known(board, "bob").disabled_at is None
    wrong = client.post(sent.location, data=form | {"password": "x", "next": path})
    assert wrong.status_code == 401
    proved = client.post(sent.location, data=form | {"password": PASSWORD, "next": path})
    assert proved.location == path
    assert client.post(f"{path}/disable", data=form).location == path
    assert known(board, "bob").disabled_at is not None


@pytest.mark.parametrize(
    "referer", ["https://evil.example/users", "//evil.example", "http://localhost//evil.example"]
)
def test_nobody_comes_back_to_somewhere_else(board, referer):
    add(board)
    client = signed_in(board)
    wait_eleven_minutes(board)
    sent = client.post("/users", data=fields(client, "/users"), headers={"Referer": referer})
    assert sent.location == "/prove"
    proved = client.post(
        "/prove", data=fields(client, "/users") | {"password": PASSWORD, "next": referer}
    )
    assert proved.location == "/"


def test_a_script_is_sent_to_the_page_that_asks(board):
    add(board)
    client = signed_in(board)
    wait_eleven_minutes(board)
    headers = {"HX-Request": "true", "HX-Current-URL": "http://localhost/users?x=1"}
    sent = client.post("/users", data=fields(client, "/users"), headers=headers)
    assert (sent.status_code, sent.headers["HX-Redirect"]) == (401, "/prove?next=/users?x%3D1")


def test_a_code_is_of_its_half_minute_and_one_to_each_side():
    secret = pyotp.random_base32()
    codes = pyotp.TOTP(secret)
    at = int(NOW.timestamp())
    found = [step_of(secret, codes.at(at + 30 * n), NOW) is not None for n in range(-3, 4)]
    assert found == [False, False, True, True, True, False, False]
    assert step_of(secret, f"{codes.at(at)[:3]} {codes.at(at)[3:]}", NOW) == at // 30
    for odd in ("", "12345", "1234567", "abcdef", "１２３４５６", "\0" * 6):
        assert step_of(secret, odd, NOW) is None
