"""Permission gate of the dashboard, over every route."""

import pytest

from hub.core.auth.roles import Permission, Principal, Role
from hub.web.dashboard.permissions import own_path, permission_of


def test_every_view_says_whom_it_is_open_to(board):
    views = {
        rule.endpoint: board.app.view_functions[rule.endpoint]
        for rule in board.app.url_map.iter_rules()
        if rule.endpoint.startswith("dashboard.") and rule.endpoint != "dashboard.static"
    }
    assert len(views) > 10
    for view in views.values():
        permission_of(view)


def test_somebody_who_is_not_signed_in_is_sent_to_the_door(board):
    answer = board.client(None).get("/events?type=lead.submitted")
    assert answer.status_code == 302
    assert answer.location == "/sign-in?next=/events?type%3Dlead.submitted"


def test_a_change_without_its_token_changes_nothing(board):
    assert board.client(Role.ADMIN).post("/sign-out").status_code == 403
    assert board.client(Role.ADMIN).get("/").status_code == 200


@pytest.mark.parametrize(
    "target",
    [
        "//evil.example",
        "/\\evil.example",
        "https:evil.example",
        "https://e.example",
        "",
        None,
        "/\t/evil.example",
        "/\n/evil.example",
        "\\\\evil.example",
        "javascript:alert(1)",
        "evil",
        "/\0",
    ],
)
def test_nobody_is_sent_elsewhere(target):
    assert own_path(target) is None


def test_a_path_of_our_own_is_gone_on_to():
    assert own_path("/events?q=1") == "/events?q=1"


def test_roles_grow():
    may = [
        {one for one in Permission if Principal(None, None, "x", role, False).may(one)}
        for role in (Role.VIEWER, Role.OPERATOR, Role.ADMIN)
    ]
    assert may[0] < may[1] < may[2]
