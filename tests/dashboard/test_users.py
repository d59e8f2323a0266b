"""Admin pages: users, and the audit log."""

import csv
import io
import re
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from hub.core.audit import record_action
from hub.core.auth.roles import Role
from hub.core.models import SignInTry
from hub.web.dashboard.csv_export import csv_line
from tests.core.making import NOW
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
)

HOSTILE = [
    '"><img src=x onerror=alert(1)>', "{{7*7}}", "javascript:alert(1)", "\u202eevil", "x" * 10_000,
]  # fmt: skip


@pytest.fixture
def admin(board):
    add(board, sees_personal=True)
    return signed_in(board)


def post(client, path, **form):
    return client.post(path, data=fields(client, "/users") | form)


def link_in(page):
    return re.search(r"http://localhost(/welcome/[A-Za-z0-9_-]+)", page.text)[1]


def test_somebody_is_let_in_by_a_link_that_is_shown_once(board, admin):
    page = post(admin, "/users", name="Bob", role="operator", personal="1")
    link = link_in(page)
    assert link not in admin.get("/users").text
    guest = board.app.test_client()
    answer = guest.post(link, data=fields(guest, link) | {"password": PASSWORD, "again": PASSWORD})
    assert answer.location == "/"
    assert is_in(guest)
    bob = known(board, "bob")
    assert (bob.role, bob.sees_personal) == (Role.OPERATOR, True)
    assert guest.get("/users").status_code == 403
    assert guest.get(link).status_code == 404


@pytest.mark.parametrize(
    ("form", "status"),
    [
        ({"name": "jane", "role": "viewer"}, 422),
        ({"name": "a b", "role": "viewer"}, 422),
        ({"name": HOSTILE[0], "role": "viewer"}, 422),
        ({"name": "bob", "role": "root"}, 400),
        ({"name": "bob"}, 400),
    ],
)
def test_what_is_no_invitation_adds_nobody(board, admin, form, status):
    answer = post(admin, "/users", **form)
    assert answer.status_code == status
    assert "<img src=x" not in answer.text
    assert audited(board, "user.add") == 1


def test_more_fields_than_asked_for_change_nothing(board, admin):
    post(admin, "/users", name="bob", role="viewer", password_hash="x", disabled_at="", id="1")
    bob = known(board, "bob")
    assert not bob.has_password
    assert not bob.sees_personal


def test_a_role_is_changed_at_once(board, admin):
    bob = add(board, "bob", Role.VIEWER)
    browser = signed_in(board, "bob")
    assert browser.get("/audit").status_code == 403
    assert post(admin, f"/users/{bob.id}/change", role="admin").status_code == 303
    assert browser.get("/audit").status_code == 200


def test_the_last_admin_stays(board, admin):
    answer = post(admin, f"/users/{known(board, 'jane').id}/change", role="viewer")
    assert answer.status_code == 409
    assert "the last admin" in answer.text
    assert known(board, "jane").role is Role.ADMIN


def test_nobody_disables_or_resets_themselves(board, admin):
    add(board, "kim")
    for change in ("disable", "reset"):
        assert post(admin, f"/users/{known(board, 'jane').id}/{change}").status_code == 409
    assert is_in(admin)


def test_a_reset_ends_everything_and_gives_a_link(board, admin):
    bob = add(board, "bob", Role.VIEWER)
    browser = signed_in(board, "bob")
    give_factor(board, bob)
    link = link_in(post(admin, f"/users/{bob.id}/reset"))
    assert not is_in(browser)
    assert sign_in(browser, "bob").status_code == 401
    browser.post(link, data=fields(browser, link) | {"password": PASSWORD, "again": PASSWORD})
    assert is_in(browser)
    assert not known(board, "bob").has_second_factor


def test_disabled_is_out_and_enabled_is_in_again(board, admin):
    bob = add(board, "bob", Role.VIEWER)
    browser = signed_in(board, "bob")
    post(admin, f"/users/{bob.id}/disable")
    assert not is_in(browser)
    assert sign_in(browser, "bob").status_code == 401
    post(admin, f"/users/{bob.id}/enable")
    assert not is_in(browser)
    assert sign_in(browser, "bob").status_code == 303


def test_an_account_that_is_slowed_is_shown_and_unlocked(board, admin):
    bob = add(board, "bob", Role.VIEWER)
    stranger = board.app.test_client()
    for _ in range(7):
        sign_in(stranger, "bob", "wrong password")
    with board.hub.store.write() as connection:  # however slow this machine is
        connection.execute(update(SignInTry).values(free_at=datetime.now(UTC) + timedelta(hours=1)))
    assert "Let them try at once" in admin.get(f"/users/{bob.id}").text
    assert sign_in(stranger, "bob").status_code == 429
    post(admin, f"/users/{bob.id}/unlock")
    assert sign_in(stranger, "bob").status_code == 303
    assert audited(board, "user.unlock") == 1


@pytest.mark.parametrize("user_id", ["x", "-1", "9" * 40, "01a1fdfa-467b-774b-984a-22815448cc07"])
def test_users_that_are_none_are_not_there(admin, user_id):
    assert admin.get(f"/users/{user_id}").status_code == 404
    assert post(admin, f"/users/{user_id}/reset").status_code == 404


@pytest.fixture
def log(board):
    with board.hub.store.write() as connection:
        for n in range(120):
            record_action(
                connection, actor=f"user:{n % 2}", action="x.done", subject=HOSTILE[n % 5],
                reason="=cmd|' /C calc'!A0", detail={"a": HOSTILE[0]}, now=NOW,
            )  # fmt: skip


@pytest.mark.usefixtures("log")
def test_the_log_is_paged_filtered_and_inert(admin):
    page, rows = admin.get("/audit?action=x.done"), 0
    while True:
        assert "<img src=x" not in page.text
        assert "{{7*7}}" in page.text
        rows += page.text.count('data-label="When"')
        older = re.search(r'href="([^"]+)" rel="next"', page.text)
        if older is None:
            break
        page = admin.get(older[1].replace("&amp;", "&"))
    assert rows == 120
    assert admin.get("/audit?actor=user:0").text.count('data-label="When"') == 50


@pytest.mark.parametrize("query", ["before=x", "before=-1", "before=%00"])
def test_a_page_before_nothing_is_refused(admin, query):
    assert admin.get(f"/audit?{query}").status_code == 400


@pytest.mark.parametrize(
    "query", ["actor=%00", "actor=%25", "subject=" + "q" * 5_000, "action=%27"]
)
def test_odd_filters_find_nothing(admin, query):
    page = admin.get(f"/audit?{query}")
    assert page.status_code == 200


@pytest.mark.usefixtures("log")
def test_the_log_as_csv_has_every_row_and_no_formula(board):
    answer = board.client(Role.ADMIN).get("/audit.csv?action=x.done")
    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert answer.mimetype == "text/csv"
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert len(rows) == 120
    assert {row["reason"] for row in rows} == {"'=cmd|' /C calc'!A0"}


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "\0", " =", "\uff1d"])
def test_no_cell_starts_a_formula(start):
    [[cell]] = csv.reader(io.StringIO(csv_line([f"{start}1+1"]), newline=""))
    assert cell.startswith(("'", "\ufffd"))


def test_a_cell_keeps_its_quotes_and_lines():
    given = ['a "b", c', "two\nlines", None, {"a": 1}]
    [row] = csv.reader(io.StringIO(csv_line(given), newline=""))
    assert row == ['a "b", c', "two\nlines", "", '{"a": 1}']
