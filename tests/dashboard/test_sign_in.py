"""Sign-in by password, sign-out, and the throttle of attempts."""

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from argon2 import PasswordHasher
from sqlalchemy import select, update

from hub.core.auth import throttle, users
from hub.core.auth.roles import Role
from hub.core.models import AuditEntry, Session, User
from hub.gateways import password_hashing
from hub.web.dashboard.credential_check import WRONG
from tests.dashboard.people import (
    PASSWORD,
    add,
    audited,
    fields,
    is_in,
    sign_in,
    wait_eleven_minutes,
)
from tests.running import PLAIN


def test_name_and_password_open_the_door_and_sign_out_shuts_it(board):
    add(board)
    client = board.app.test_client()
    answer = sign_in(client, next="/account?x=1")
    assert (answer.status_code, answer.location) == (303, "/account?x=1")
    assert is_in(client)
    kept = client.get_cookie("hub").value
    gone = client.post("/sign-out", data=fields(client, "/account"))
    assert gone.location == "/sign-in"
    assert not is_in(client)
    client.set_cookie("hub", kept)
    assert not is_in(client)
    assert (audited(board, "sign_in"), audited(board, "sign_out")) == (1, 1)


def test_the_name_is_taken_as_people_type_it(board):
    add(board)
    assert sign_in(board.app.test_client(), name=" Jane ").status_code == 303


def test_nothing_that_was_in_the_cookie_before_is_good_after_signing_in(board):
    add(board)
    client = board.app.test_client()
    form = fields(client, "/sign-in")
    before = client.get_cookie("hub").value
    client.post("/sign-in", data=form | {"name": "jane", "password": PASSWORD})
    assert client.get_cookie("hub").value != before
    assert client.post("/sign-out", data=form).status_code == 403
    assert is_in(client)
    client.set_cookie("hub", before)
    assert not is_in(client)


def test_signing_in_again_ends_the_session_that_was(board):
    add(board)
    client = board.app.test_client()
    sign_in(client)
    kept = client.get_cookie("hub").value
    form = fields(client, "/account") | {"name": "jane", "password": PASSWORD}
    assert client.post("/sign-in", data=form).status_code == 303
    client.set_cookie("hub", kept)
    assert not is_in(client)


def test_the_cookie_is_kept_from_scripts_and_strangers(make_board):
    plain = make_board()
    add(plain)
    answer = sign_in(plain.app.test_client())
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith("hub=")
    assert all(word in cookie for word in ("HttpOnly", "SameSite=Lax", "Path=/", "Expires="))
    assert "Cookie" in answer.headers["Vary"]
    assert "Secure" not in cookie


def test_over_tls_the_cookie_is_of_this_host_alone(make_board):
    board = make_board(HUB_PUBLIC_URL="https://hub.example")
    add(board)
    client = board.app.test_client()
    page = client.get("/sign-in", base_url="https://hub.example")
    cookie = page.headers["Set-Cookie"]
    assert cookie.startswith("__Host-hub=")
    assert "Secure" in cookie
    assert "Domain" not in cookie
    assert page.headers["Strict-Transport-Security"]


@pytest.mark.parametrize("next_", ["//evil.example", "/\\evil.example", "https:evil.example"])
def test_next_leads_to_our_own_pages_alone(board, next_):
    add(board)
    answer = sign_in(board.app.test_client(), next=next_)
    assert (answer.status_code, answer.location) == (303, "/")


def test_a_wrong_password_and_an_unknown_name_are_told_in_the_same_words(board):
    add(board)
    answers = [
        sign_in(board.app.test_client(), name=name, password="wrong password")
        for name in ("jane", "nobody-of-that-name")
    ]
    assert [answer.status_code for answer in answers] == [401, 401]
    texts = [re.sub(r'value="[^"]*"', "", answer.text) for answer in answers]
    assert texts[0] == texts[1]
    assert WRONG in texts[0]
    assert audited(board, "sign_in.refused") == 2


def test_a_wrong_password_and_an_unknown_name_cost_the_same(board, monkeypatch):
    """Nearly all of an attempt's cost is one hash, with the same parameters for every name."""
    add(board)
    with board.hub.store.write() as connection:
        users.add(
            connection, "new", Role.VIEWER, password_hash=None, actor="x", now=datetime.now(UTC)
        )
    checked: list[str] = []
    verify = PasswordHasher.verify

    def verifies(hasher, password_hash, password):
        checked.append(password_hash.rpartition("$")[0].rpartition("$")[0])
        return verify(hasher, password_hash, password)

    monkeypatch.setattr(PasswordHasher, "verify", verifies)
    for name in ("jane", "nobody", "new"):
        assert sign_in(board.app.test_client(), name=name, password="x").status_code == 401
    assert checked == ["$argon2id$v=19$m=19456,t=2,p=1"] * 3


@pytest.mark.parametrize("name", ["", "\0", "a" * 100_000, "jane' OR 1=1 --", "%", "ja\u202ene"])
def test_odd_names_are_told_like_any_other(board, name):
    assert sign_in(board.app.test_client(), name=name).status_code == 401


def test_a_form_of_megabytes_is_refused(board):
    client = board.app.test_client()
    form = fields(client, "/sign-in")
    answer = client.post("/sign-in", data=form | {"name": "jane", "password": "x" * 5_000_000})
    assert answer.status_code == 413


def test_what_was_typed_for_a_name_that_nobody_has_is_not_kept(board):
    sign_in(board.app.test_client(), name="my secret password", password="x")
    with board.hub.store.read() as connection:
        rows = connection.execute(select(AuditEntry.__table__)).all()
    assert rows
    assert "my secret" not in repr(rows)


def test_a_hundred_wrong_passwords_are_slowed_and_noted(board, monkeypatch):
    monkeypatch.setattr(
        throttle, "WAITS", [timedelta(minutes=10)] * 10
    )  # no throttle window ends in the meantime
    add(board)
    client = board.app.test_client()
    form = fields(client, "/sign-in") | {"name": "jane", "password": "wrong password"}
    statuses = [client.post("/sign-in", data=form).status_code for _ in range(100)]
    assert statuses[:5] == [401] * 5
    assert statuses[-1] == 429
    assert audited(board, "sign_in.refused") == statuses.count(401) < 12
    slowed = client.post("/sign-in", data=form | {"password": PASSWORD})
    assert slowed.status_code == 429
    assert int(slowed.headers["Retry-After"]) >= 1
    with board.hub.store.write() as connection:
        users.unlock(connection, users.named(connection, "jane"), actor="x", now=datetime.now(UTC))
    assert sign_in(client).status_code == 303


BEHIND = {"X-Forwarded-For": "198.51.100.1"}


def test_no_stranger_behind_an_undeclared_proxy_keeps_an_admin_out(make_board, monkeypatch):
    """All who come through the proxy have one address."""
    monkeypatch.setattr(throttle, "WAITS", [timedelta(minutes=10)] * 10)
    monkeypatch.setattr(throttle, "NOTED", 10)
    board = make_board(HUB_PUBLIC_URL="http://localhost")
    add(board)
    client, stranger = board.app.test_client(), board.app.test_client()
    form = fields(stranger, "/sign-in") | {"password": "wrong password"}

    def guess(name):
        return stranger.post("/sign-in", data=form | {"name": name}, headers=BEHIND).status_code

    assert [guess(f"somebody{n}") for n in range(25)] == [401] * 25
    assert audited(board, "sign_in.refused") == 11
    mine = fields(client, "/sign-in") | {"name": "jane", "password": PASSWORD}
    assert client.post("/sign-in", data=mine, headers=BEHIND).status_code == 303
    assert [guess("jane") for _ in range(7)] == [401] * 5 + [429] * 2
    assert audited(board, "sign_in.refused") == 16
    new = board.app.test_client()
    mine = fields(new, "/sign-in") | {"name": "jane", "password": PASSWORD}
    assert new.post("/sign-in", data=mine, headers=BEHIND).status_code == 429


def test_strangers_who_guess_do_not_keep_out_who_was_signed_in_there(board, monkeypatch):
    """Here no address is known, and the account's counter is held by somebody else."""
    monkeypatch.setattr(throttle, "WAITS", [timedelta(minutes=10)] * 10)
    add(board)
    add(board, "kim")
    client, stranger = board.app.test_client(), board.app.test_client()
    sign_in(client)
    assert [sign_in(stranger, password="wrong").status_code for _ in range(6)][-1] == 429
    wait_eleven_minutes(board)
    prove = fields(client, "/account") | {"password": PASSWORD}
    assert client.post("/prove", data=prove).status_code == 303
    client.post("/sign-out", data=fields(client, "/account"))
    assert not is_in(client)
    assert sign_in(client, name="kim", password="wrong").status_code == 401
    assert sign_in(client).status_code == 303
    with board.hub.store.write() as connection:
        connection.execute(update(Session).values(seen_at=datetime.now(UTC) - timedelta(days=1)))
    assert not is_in(client)
    statuses = [sign_in(client, password="wrong").status_code for _ in range(6)]
    assert statuses == [401] * 5 + [429]


def test_fifty_at_once_are_counted_as_fifty(board):
    add(board)
    form = fields(client := board.app.test_client(), "/sign-in")
    value = client.get_cookie("hub").value

    def knock(_: int) -> int:
        one = board.app.test_client()
        one.set_cookie("hub", value)
        return one.post("/sign-in", data=form | {"name": "jane", "password": "wrong"}).status_code

    with ThreadPoolExecutor(10) as threads:
        statuses = list(threads.map(knock, range(50)))
    assert set(statuses) <= {401, 429}
    assert 5 <= statuses.count(401) <= 8


def test_a_password_s_hash_is_renewed_when_the_cost_has_changed(board, monkeypatch):
    user = add(board)
    dearer = password_hashing.PasswordHasher(time_cost=3, memory_cost=19456, parallelism=1)
    monkeypatch.setattr(password_hashing, "_hasher", dearer)
    assert sign_in(board.app.test_client()).status_code == 303
    with board.hub.store.read() as connection:
        kept = connection.execute(select(User.password_hash).where(User.id == user.id)).scalar_one()
    assert "t=3" in kept
    assert sign_in(board.app.test_client()).status_code == 303


def test_an_account_without_a_password_or_disabled_is_nobody_s(board):
    user = add(board, "gone", Role.VIEWER)
    add(board, "boss")
    with board.hub.store.write() as connection:
        users.disable(connection, user, actor="x", now=datetime.now(UTC))
        users.add(
            connection, "new", Role.VIEWER, password_hash=None, actor="x", now=datetime.now(UTC)
        )
    for name in ("gone", "new"):
        assert sign_in(board.app.test_client(), name=name).status_code == 401


def test_sessions_end_when_nobody_clicks_and_after_a_week(make_board):
    board = make_board(PLAIN + "users: {idle: 1h, longest: 2d}\n")
    add(board)
    client = board.app.test_client()
    for column, age, stays in (
        ("seen_at", 59, True), ("seen_at", 61, False),
        ("created_at", 2879, True), ("created_at", 2881, False),
    ):  # fmt: skip
        sign_in(client)
        with board.hub.store.write() as connection:
            at = datetime.now(UTC) - timedelta(minutes=age)
            connection.execute(update(Session).values({column: at}))
        assert is_in(client) is stays, (column, age)


def test_a_page_that_renews_itself_keeps_nobody_signed_in(board):
    add(board)
    client = board.app.test_client()
    sign_in(client)
    with board.hub.store.write() as connection:
        at = datetime.now(UTC) - timedelta(hours=2)
        connection.execute(update(Session).values(seen_at=at))
    for headers, moves in (({"HX-Request": "true"}, False), ({}, True)):
        assert client.get("/", headers=headers).status_code == 200
        with board.hub.store.read() as connection:
            seen_at = connection.execute(select(Session.seen_at)).scalar_one()
        assert (seen_at > at) is moves


@pytest.mark.parametrize("change", ["password", "disabled", "reset"])
def test_who_was_at_the_door_when_the_account_changed_does_not_come_in(board, monkeypatch, change):
    """An old password that is being checked while it changes begins no session."""
    user, check = add(board), password_hashing.is_password

    def slowly(password, password_hash):
        good = check(password, password_hash)
        values = {
            "password": {"password_hash": password_hashing.hash_password("other words here")},
            "disabled": {"disabled_at": datetime.now(UTC)},
            "reset": {"password_hash": None},
        }
        with board.hub.store.write() as connection:
            connection.execute(update(User).where(User.id == user.id).values(**values[change]))
        return good

    monkeypatch.setattr("hub.web.dashboard.credential_check.is_password", slowly)
    client = board.app.test_client()
    assert sign_in(client).status_code == 409
    with board.hub.store.read() as connection:
        assert connection.execute(select(Session.id)).all() == []
