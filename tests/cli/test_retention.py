"""`hub show` and `hub check` about retention: what is gone, since when, and what is kept."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import update

from hub.core.ids import new_id
from hub.core.models import StoredRequest
from tests.cli.commanding import Desk


def empty(desk: Desk) -> None:
    """Delete all bodies, as retention does."""
    at = datetime(2026, 11, 21, tzinfo=UTC)
    with desk.store.write() as connection:
        connection.execute(update(StoredRequest).values(body=None, headers={}, body_deleted_at=at))


def test_show_says_where_a_body_is_gone(desk_anywhere) -> None:
    event_id = desk_anywhere.receive("evt_1")
    request_id = desk_anywhere.json("show", event_id)["request_id"]
    assert "body_deleted_at" not in desk_anywhere.json("show", event_id)
    assert "body_deleted_at" not in desk_anywhere.json("show", request_id)
    empty(desk_anywhere)
    for one in (event_id, request_id):
        assert desk_anywhere.json("show", one)["body_deleted_at"] == "2026-11-21T00:00:00Z"
        told = desk_anywhere.run("show", one).out
        assert "was deleted on 2026-11-21 (`retention.bodies` in hub.yaml)" in told
    assert "native" not in desk_anywhere.json("show", event_id)["data"]
    said = desk_anywhere.run("show", event_id, "--attachment", "1")
    assert said.code != 0
    assert "the request's body was deleted on 2026-11-21" in said.err


def test_show_says_that_an_old_id_is_deleted(desk_anywhere) -> None:
    ago, lately = (new_id(datetime.now(UTC) - timedelta(days=days)) for days in (401, 399))
    assert (
        "is deleted by retention (`retention.events: 400d`"
        in desk_anywhere.run("show", str(ago)).sentence
    )
    assert "retention" not in desk_anywhere.run("show", str(lately)).sentence


def test_check_says_how_long_everything_is_kept(desk) -> None:
    with (desk.folder / "hub.yaml").open("a") as file:
        file.write("\nretention: {bodies: 36h, answers: 90m, sessions: 75m}\n")
    assert (
        "bodies 36h, events 400d, keys 800d, rejected 14d, held 60d, answers 90m, alerts 400d, "
        "sessions 75m, audit forever"
    ) in desk.run("check").out
