"""`hub users` and `hub audit`: managing accounts, also before the first user can sign in."""

import re

import pytest
from sqlalchemy import select

from hub.core.models import User
from hub.gateways.password_hashing import is_password

PASSWORD = "lemon otter trail"


def hash_of(desk, name):
    with desk.store.read() as connection:
        return connection.execute(
            select(User.password_hash).where(User.name == name)
        ).scalar_one_or_none()


def add(desk, name="jane", *more, role="admin"):
    said = desk.run("users", "add", name, "--role", role, "--password-stdin", *more, stdin=PASSWORD)
    assert said.code == 0, said.err


def test_an_account_is_added_with_a_password_from_standard_input(desk):
    said = desk.run("users", "add", "Jane", "--role", "admin", "--personal", "--password-stdin",
                    stdin=f"{PASSWORD}\n")  # fmt: skip
    assert (said.code, said.out) == (0, "")
    assert is_password(PASSWORD, hash_of(desk, "jane"))
    [jane] = desk.json("users", "list")
    assert (jane["name"], jane["role"], jane["sees_personal"]) == ("jane", "admin", True)
    assert "argon2" not in str(jane)


def test_without_a_password_there_is_a_link_alone_on_standard_output(desk):
    said = desk.run("users", "add", "bob", "--role", "viewer")
    assert re.fullmatch(r"http://127\.0\.0\.1:[0-9]+/welcome/[A-Za-z0-9_-]{43}\n", said.out)
    assert hash_of(desk, "bob") is None
    desk.setenv(HUB_PUBLIC_URL="https://hub.example", STRIPE_WEBHOOK_SECRET="whsec_8Jx0kq2LmZr5T")
    assert desk.run("users", "reset", "bob").out.startswith("https://hub.example/welcome/")


@pytest.mark.parametrize("password", ["", "short", "password1234", "x" * 200])
def test_a_bad_password_adds_nobody_and_is_not_repeated(desk, password):
    said = desk.run("users", "add", "jane", "--role", "admin", "--password-stdin", stdin=password)
    assert said.code == 1
    assert "password" in said.sentence
    assert not password or f" {password} " not in said.err
    assert desk.json("users", "list") == []


@pytest.mark.parametrize("name", ["a b", "", "jane\x1b[2J"])
def test_a_name_that_is_none_is_refused(desk, name):
    said = desk.run("users", "add", name, "--role", "admin", "--password-stdin", stdin=PASSWORD)
    assert said.code == 1
    assert "a name is" in said.sentence


def test_accounts_are_disabled_enabled_reset_and_unlocked(desk):
    add(desk)
    add(desk, "bob", role="operator")
    for command in ("disable", "enable", "reset", "unlock"):
        assert desk.run("users", command, "bob").code == 0, command
    assert hash_of(desk, "bob") is None
    states = {user["name"]: user["state"] for user in desk.json("users", "list")}
    assert states == {"jane": "can sign in", "bob": "invited"}


def test_rights_are_given_and_taken_and_noted(desk):
    add(desk)
    assert desk.run("users", "change", "jane", "--personal").code == 0
    [jane] = desk.json("users", "list")
    assert (jane["role"], jane["sees_personal"]) == ("admin", True)
    add(desk, "bob", role="viewer")
    desk.run("users", "change", "bob", "--role", "operator")
    desk.run("users", "change", "jane", "--no-personal")
    rights = {user["name"]: (user["role"], user["sees_personal"])
              for user in desk.json("users", "list")}  # fmt: skip
    assert rights == {"jane": ("admin", False), "bob": ("operator", False)}
    changes = desk.json("audit", "--action", "user.change")
    assert [row["detail"]["sees_personal"] for row in changes] == [False, False, True]
    assert all(row["actor"].startswith("cli:") for row in changes)
    assert "last admin" in desk.run("users", "change", "jane", "--role", "viewer").sentence
    assert "--personal" in desk.run("users", "change", "jane").sentence


def test_the_last_admin_is_not_disabled(desk):
    add(desk)
    said = desk.run("users", "disable", "jane")
    assert said.code == 1
    assert "last admin" in said.sentence


def test_somebody_who_is_not_there_is_a_sentence(desk):
    for command in ("disable", "enable", "reset", "unlock"):
        assert "there is no user nobody" in desk.run("users", command, "nobody").sentence


def test_the_log_lists_what_was_done_by_whom(desk):
    add(desk)
    add(desk, "bob", role="viewer")
    desk.run("users", "disable", "bob")
    rows = desk.json("audit")
    assert [row["action"] for row in rows] == ["user.disable", "user.add", "user.add"]
    assert all(row["actor"].startswith("cli:") for row in rows)
    assert len(desk.json("audit", "--limit", "1")) == 1
    assert desk.json("audit", "--actor", "nobody") == []
    assert [row["subject"] for row in desk.json("audit", "--subject", "user jane")] == ["user jane"]
    assert "user.disable" in desk.run("audit", "--limit", "1").out


def test_the_log_goes_on_before_a_row(desk):
    add(desk)
    add(desk, "bob", role="viewer")
    newest, oldest = desk.json("audit")
    assert desk.json("audit", "--before", newest["id"]) == [oldest]
    assert desk.run("audit", "--before", "x").code == 1
