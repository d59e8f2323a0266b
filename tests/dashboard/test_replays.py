"""Replays from the dashboard: preview, one start, progress, pause and cancellation."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from sqlalchemy import func, select, update

from hub.core.auth.roles import Role
from hub.core.models import AuditEntry, Delivery, Replay, ReplayItem, Session
from hub.core.replays.advance import release_batch
from tests.dashboard.delivering import TOWN, put, states, text_of

HOSTILE = '"><img src=x onerror=alert(1)>{{7*7}}'


@pytest.fixture
def town(make_board):
    return make_board(TOWN)


def write(town, *args, **values):
    with town.hub.store.write() as connection:
        return put(connection, *args, **values)


def form(town, **fields):
    """Return the fields that the preview's form sends."""
    return {"csrf_token": town.csrf(), "token": "one-form-1", "rate": "600000", "state": "failed",
            "seen": "500"} | fields  # fmt: skip


def started(town, client=None, **fields) -> str:
    """Start a replay; return the path of its page."""
    answer = (client or town.client()).post("/replays", data=form(town, **fields))
    assert answer.status_code == 303, text_of(answer)
    return urlsplit(answer.location).path


def test_a_start_lets_the_first_ones_go_and_shows_the_rest(town):
    write(town, 70)
    client = town.client()
    path = started(town, client, rate="60", reason="mended")
    said = text_of(client.get(path))
    assert "Replay of 70 deliveries" in said
    assert "Started." in said
    assert "1 of 70 let go" in said
    assert "1 a second; about 1 minute" in said or "about 69 seconds" in said
    assert states(town).count("pending") == 1
    assert "0 of" not in text_of(client.get("/replays"))
    with town.hub.store.read() as connection:
        entry = connection.execute(
            select(AuditEntry).with_only_columns(AuditEntry.actor, AuditEntry.reason)
            .where(AuditEntry.action == "replay.start")
        ).one()  # fmt: skip
    assert tuple(entry) == ("user:admin", "mended")


def test_nothing_happens_again_without_a_reason(town):
    write(town, 2, destination="sms", state="succeeded", error=None)
    answer = town.client().post("/replays", data=form(town, state="succeeded", again="1"))
    assert answer.status_code == 409
    assert "Not started: something would happen a second time: say why" in text_of(answer)
    assert states(town) == ["succeeded"] * 2


def test_nothing_starts_at_a_rate_that_is_none(town):
    write(town, 2)
    for count in ("", "0", "-1", "1e9", "٣"):
        answer = town.client().post(
            "/replays", data=form(town, rate="other", count=count, unit="second")
        )
        assert answer.status_code == 409
        assert "the rate must be" in text_of(answer)
    started(town, rate="other", count="3", unit="minute")
    with town.hub.store.read() as connection:
        assert connection.execute(select(Replay.per_minute)).scalars().all() == [3]


def test_who_has_not_given_the_password_lately_starts_nothing(town):
    write(town, 2)
    client = town.client(Role.OPERATOR, name="o")
    long_ago = datetime.now(UTC) - timedelta(hours=2)
    with town.hub.store.write() as connection:
        connection.execute(update(Session).values(proved_at=long_ago))
    said = client.get("/replays/preview?state=failed")
    assert "Enter your password to go on" in said.text
    assert 'name="token"' not in said.text
    answer = client.post(
        "/replays", data=form(town), headers={"Referer": "http://localhost/replays/preview"}
    )
    assert answer.status_code == 303
    assert answer.location.startswith("/prove")
    assert states(town) == ["failed"] * 2


def test_a_form_sent_twice_starts_one_replay(town):
    write(town, 2)
    client = town.client()
    first = started(town, client)
    assert started(town, client) == first
    assert "Already running: here it is" in text_of(client.get(first))


def test_two_admins_who_start_the_same_at_once_start_one_replay(town):
    write(town, 30)
    barrier = Barrier(2)
    clients = [town.client(name="ann"), town.client(name="bob")]

    def start(n: int) -> str:
        barrier.wait()
        return started(town, clients[n], token=f"the-form-of-{n}")

    with ThreadPoolExecutor(2) as pool:
        assert len(set(pool.map(start, range(2)))) == 1
    with town.hub.store.read() as connection:
        assert connection.execute(select(func.count()).select_from(Replay)).scalar() == 1
        assert connection.execute(select(func.count()).select_from(ReplayItem)).scalar() == 30


def test_it_is_paused_continued_and_cancelled(town):
    write(town, 3)
    client = town.client(Role.OPERATOR, name="o")
    path = started(town, client, rate="other", count="1", unit="minute")
    token = {"csrf_token": town.csrf()}
    for turn, state, words in (
        ("pause", "paused", "Paused"),
        ("continue", "running", "It goes on"),
        ("cancel", "cancelled", "Cancelled"),
    ):
        answer = client.post(f"{path}/{turn}", data=token)
        assert (answer.status_code, answer.location) == (303, path)
        said = text_of(client.get(path))
        assert words in said
        assert state in said
    assert client.post(f"{path}/cancel", data=token).status_code == 409
    assert client.post(f"{path}/delete", data=token).status_code == 400
    assert client.post(f"/replays/{uuid4()}/cancel", data=token).status_code == 404


def test_a_viewer_sees_a_replay_and_turns_nothing(town):
    write(town, 3)
    path = started(town, rate="other", count="1", unit="minute")
    viewer = town.client(Role.VIEWER, name="v", sees_personal=False)
    said = viewer.get(path).text
    assert "Jane" not in said
    assert "/pause" not in said
    token = {"csrf_token": town.csrf()}
    assert viewer.post(f"{path}/cancel", data=token).status_code == 403
    assert viewer.post("/replays", data=form(town)).status_code == 403
    assert viewer.post("/replays/preview", data=token).status_code == 403


def test_a_start_without_its_token_is_refused(town):
    write(town)
    client = town.client()
    assert client.post("/replays", data=form(town, csrf_token="")).status_code == 403
    assert client.get("/replays?state=failed").status_code == 200
    assert states(town) == ["failed"]


def test_what_became_of_each_can_be_asked_for(town):
    ids = write(town, 4)
    client = town.client()
    path = started(town, client)
    with town.hub.store.write() as connection:
        connection.execute(update(Replay).values(paid_until=datetime.now(UTC) - timedelta(days=1)))
        replay_id = connection.execute(select(Replay.id)).scalar_one()
        release_batch(connection, town.hub, replay_id, now=datetime.now(UTC))
        for one, state, error in zip(
            ids,
            ("succeeded", "failed", "failed", "running"),
            (None, "127.0.0.1: refused the connection", "Twilio answered 400: 21610: no", None),
            strict=True,
        ):
            connection.execute(
                update(Delivery).where(Delivery.id == one).values(state=state, error=error)
            )
    said = text_of(client.get(path))
    assert "Succeeded 1" in said
    assert "Failed as before 1" in said
    assert "Failed otherwise 1" in said
    assert "On its way 1" in said
    other = text_of(client.get(f"{path}?became=other_error"))
    assert "The person answered STOP" in other
    assert "Before: 127.0.0.1 is not running" in other
    assert client.get(f"{path}?became=succeeded").text.count("/events/") == 1
    for odd in ("became=x", "after=x", "became=%00"):
        assert client.get(f"{path}?{odd}").status_code == 400


def test_what_others_wrote_is_inert(town):
    [one] = write(town, data={"name": HOSTILE}, error=f"{HOSTILE} answered 400: {HOSTILE}")
    with town.hub.store.write() as connection:
        connection.execute(
            update(Delivery).where(Delivery.id == one)
            .values(route=HOSTILE, destination=HOSTILE, action=HOSTILE)
        )  # fmt: skip
    client = town.client()
    said = client.get("/replays/preview", query_string={"q": HOSTILE}).text
    path = started(town, client, q=HOSTILE, reason=HOSTILE)
    said += client.get(path).text + client.get("/replays").text
    assert "<img src=x" not in said
    assert said.count("&lt;img src=x") > 5


def test_odd_forms_are_refused(town):
    write(town)
    client = town.client()
    for odd in ({"token": ""}, {"token": "x" * 65}, {"token": "ünsinn-ünsinn"}, {"ids": "x"},
                {"reason": "x" * 501}, {"reason": "a\x00"}, {"since": "x"}):  # fmt: skip
        assert client.post("/replays", data=form(town, **odd)).status_code == 400, odd
    for path in ("/replays/x", f"/replays/{uuid4()}", "/replays/-1"):
        assert client.get(path).status_code == 404
    assert client.get("/replays?before=x").status_code == 400
    assert states(town) == ["failed"]
