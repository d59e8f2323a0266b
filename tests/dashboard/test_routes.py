"""Routes of the dashboard: each under every role, anonymous, and disabled; response headers."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import update
from werkzeug.routing import Rule

from hub.core.auth.roles import Permission, Role
from hub.core.models import Session, User
from hub.web.dashboard.permissions import permission_of
from tests.dashboard.board import Board

WHO = (*Role, None)
ENDS_THE_SESSION = {"dashboard.sign_out"}
ASKED_FOR = ("Content-Security-Policy", "X-Content-Type-Options", "Referrer-Policy")
OF_PAGES = ("Cross-Origin-Opener-Policy", "Cross-Origin-Resource-Policy", "Permissions-Policy")
ID = "01a1fca3-dacd-7e18-bbbb-7c2bbf0c61a4"
VALUES = {
    "token": "x",
    "filename": "hub.css",
    "slug": "stripe",
    "source_slug": "stripe",
    "number": "1",
}


def rules(board: Board) -> Iterator[tuple[Rule, str, str]]:
    """Yield every rule of the dashboard with each of its methods and an address."""
    for rule in sorted(board.app.url_map.iter_rules(), key=str):
        if rule.endpoint.startswith("dashboard.") and rule.endpoint != "dashboard.static":
            for method in sorted((rule.methods or set()) & {"GET", "POST", "PUT", "DELETE"}):
                yield rule, method, address_of(rule)


def address_of(rule: Rule) -> str:
    return re.sub(r"<(?:[^:>]*:)?([^>]*)>", lambda part: VALUES.get(part[1], ID), rule.rule)


def needed(board: Board, rule: Rule) -> Permission | None:
    return permission_of(board.app.view_functions[rule.endpoint])


def may(role: Role | None, permission: Permission) -> bool:
    grown = {Role.VIEWER: 1, Role.OPERATOR: 2, Role.ADMIN: 3, None: 0}[role]
    return (
        grown >= {Permission.VIEW: 1, Permission.OPERATE: 2, Permission.ADMINISTER: 3}[permission]
    )


def ask(client: FlaskClient, board: Board, method: str, path: str) -> Any:
    data = {"csrf_token": board.csrf()} if method != "GET" else None
    return client.open(path, method=method, data=data)


def nobody(board: Board) -> FlaskClient:
    """Return a test client whose session has ended, but whose forms have valid tokens."""
    client = board.client(Role.VIEWER, name="left")
    with board.hub.store.write() as connection:
        connection.execute(update(Session).values(ended_at=datetime.now(UTC)))
    return client


def test_the_walk_meets_routes_of_every_kind(board):
    met = list(rules(board))
    assert len(met) > 30
    assert {method for _, method, _ in met} == {"GET", "POST"}
    assert {needed(board, rule) for rule, _, _ in met} == {*Permission, None}


@pytest.mark.parametrize("role", WHO, ids=str)
def test_every_route_is_open_to_those_who_may_and_to_nobody_else(board, role):
    client = nobody(board) if role is None else board.client(role)
    for rule, method, path in rules(board):
        permission = needed(board, rule)
        answer = ask(client, board, method, path)
        where = f"{method} {path} as {role}: {answer.status}"
        assert answer.status_code < 500, where
        if permission is None:
            assert answer.status_code not in (403, 405), where
        elif role is None:
            assert answer.status_code in (302, 303), where
            assert answer.location.startswith("/sign-in"), where
        else:
            assert (answer.status_code == 403) is not may(role, permission), where
        if rule.endpoint in ENDS_THE_SESSION and role is not None:
            client = board.client(role)


def test_somebody_who_is_disabled_while_signed_in_meets_shut_doors(board):
    client = board.client(Role.ADMIN)
    assert client.get("/users").status_code == 200
    with board.hub.store.write() as connection:
        connection.execute(update(User).values(disabled_at=datetime.now(UTC)))
    for rule, method, path in rules(board):
        if needed(board, rule) is not None:
            answer = ask(client, board, method, path)
            assert answer.location.startswith("/sign-in"), f"{method} {path}: {answer.status}"


def test_no_change_is_made_without_a_token_of_this_very_session(board):
    client, other = board.client(Role.ADMIN), board.app.test_client()
    strange = re.search(r'name="csrf_token" value="([^"]+)"', other.get("/sign-in").text)
    assert strange
    for rule, method, path in rules(board):
        if method == "POST":
            for data in ({}, {"csrf_token": "x"}, {"csrf_token": strange[1]}):
                answer = client.post(path, data=data)
                assert answer.status_code == 403, f"{path} {rule} {data}"


def test_no_change_is_made_by_a_page_of_another_origin(board):
    client = board.client(Role.ADMIN)
    for rule, method, path in rules(board):
        if method == "POST":
            for origin in ("https://evil.example", "null", "http://localhost.evil.example"):
                data = {"csrf_token": board.csrf()}
                answer = client.post(path, data=data, headers={"Origin": origin})
                assert answer.status_code == 403, f"{path} {rule} {origin}"


def test_a_form_of_our_own_origin_is_taken(board):
    answer = board.client(Role.ADMIN).post(
        "/sign-out", data={"csrf_token": board.csrf()}, headers={"Origin": "http://localhost"}
    )
    assert answer.location == "/sign-in"


def test_what_changes_something_is_not_done_by_a_get(board):
    client = board.client(Role.ADMIN)
    by_path: dict[str, set[str]] = {}
    for _, method, path in rules(board):
        by_path.setdefault(path, set()).add(method)
    posts_only = [path for path, methods in by_path.items() if "GET" not in methods]
    assert len(posts_only) > 5
    for path in posts_only:
        assert client.get(path).status_code in (404, 405), path


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_every_answer_of_the_app_has_its_headers(make_board, tls):
    origin = "https://hub.example" if tls else "http://localhost"
    board = make_board(HUB_PUBLIC_URL=origin) if tls else make_board()
    client = board.app.test_client()
    paths = {address_of(rule) for rule in board.app.url_map.iter_rules()}
    for path in sorted(paths | {"/static/nothing.css", "/nothing", "/webhooks/"}):
        for method in ("GET", "POST", "PUT"):
            answer = client.open(path, method=method, base_url=origin)
            missing = [name for name in ASKED_FOR if name not in answer.headers]
            assert not missing, f"{method} {path}: {answer.status} lacks {missing}"
            assert ("Strict-Transport-Security" in answer.headers) is tls, path
            policy = answer.headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy, path
            assert not re.search(r"script-src[^;]*unsafe|unsafe-eval", policy), path


def test_every_page_is_shut_to_other_origins_and_to_whatever_is_inline(board):
    client = board.client(Role.ADMIN)
    pages = [path for _, method, path in rules(board) if method == "GET"]
    for path in [*pages, "/static/hub.js", "/static/nothing.js"]:
        answer = client.get(path)
        assert not [name for name in OF_PAGES if name not in answer.headers], path
        policy = answer.headers["Content-Security-Policy"]
        assert "unsafe" not in policy, path
        assert "object-src 'none'" in policy, path


def test_pages_are_kept_by_nobody_and_files_by_everybody(board):
    client = board.client(Role.ADMIN)
    for rule, method, path in rules(board):
        if method == "GET":
            answer = client.get(path)
            assert answer.headers["Cache-Control"] == "no-store", rule
            assert "Cookie" in answer.headers.get("Vary", ""), rule
    assert "immutable" in client.get("/static/hub.css").headers["Cache-Control"]
    assert "immutable" not in client.get("/static/nothing.css").headers["Cache-Control"]
