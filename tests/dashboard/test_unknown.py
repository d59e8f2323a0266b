"""`/unknown`: the evidence, the three answers, and two people who answer at once."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import select, update

from hub.core.auth.roles import Role
from hub.core.models import Attempt, AuditEntry
from tests.dashboard.delivering import TOWN, doubt, states, text_of
from tests.dashboard.people import wait_eleven_minutes

EVIDENCE = [
    {"at": "2026-11-21T12:02:05Z", "by": "lookup", "said": "several are alike"},
    {"at": "2026-11-21T12:03:05Z", "by": "lookup", "said": "its list does not have it"},
]
HOSTILE = '"><img src=x onerror=alert(1)>{{7*7}}'


@pytest.fixture
def town(make_board):
    return make_board(TOWN)


def leave(town, count: int = 1, **values):
    with town.hub.store.write() as connection:
        return doubt(connection, count, **values)


def answer(town, ids, client=None, **fields):
    form = {"csrf_token": town.csrf(), "ids": [str(one) for one in ids], "answer": "arrived",
            "reason": "they said so"} | fields  # fmt: skip
    return (client or town.client()).post("/unknown", data=form)


def test_an_empty_page_says_what_would_stand_here(town):
    assert "Nothing is unknown" in town.client().get("/unknown").text


def test_it_shows_what_it_was_and_what_is_known_for_and_against(town):
    leave(town, evidence=EVIDENCE, absences=1, looked_at=datetime.now(UTC))
    said = text_of(town.client().get("/unknown"))
    assert "Text message to +12025550101" in said
    assert "Jane Doe paid $42.00" in said
    assert "127.0.0.1 took too long to answer" in said
    assert "either way Look-up, " in said
    assert ": several are alike" in said
    assert "against Look-up, " in said
    assert "If the first one did arrive, it happens twice" in said


def test_it_says_what_the_hub_does_next(town):
    [one] = leave(town, at=datetime.now(UTC))
    said = text_of(town.client().get("/unknown"))
    assert "The hub looks for it at the provider of “sms” in 1 minute" in said
    assert "If nothing settles it, a person is asked in 14 minutes" in said
    long_ago = datetime.now(UTC) - timedelta(hours=2)
    with town.hub.store.write() as connection:
        connection.execute(
            update(Attempt).where(Attempt.delivery_id == one).values(started_at=long_ago)
        )
    assert "A person was asked 1 hour ago" in text_of(town.client().get("/unknown"))


def test_who_may_not_see_people_sees_no_part_of_the_number(town):
    leave(town, evidence=[{"at": "x", "by": "webhook", "said": "to +12025550101"}])
    said = text_of(town.client(Role.VIEWER, sees_personal=False).get("/unknown"))
    assert "Text message to ••• " in said
    assert "0101" not in said
    assert "for The provider's own news" in said
    assert "Jane" not in said


@pytest.mark.parametrize(
    ("parameters", "all_said", "masked"),
    [
        ({"to": ["+12025550101"]}, "to +12025550101", "to •••"),
        ({"to": ["a@x.example", "b@x.example"], "cc": "c@x.example", "bcc": []},
         "to a@x.example, b@x.example, c@x.example", "to •••, •••, •••"),
        ({"to": "a@x.example", "cc": [], "bcc": ["b@x.example", "c@x.example", "d@x.example"]},
         "to a@x.example, b@x.example, c@x.example and 1 more", "to •••, •••, ••• and 1 more"),
    ],
)  # fmt: skip
def test_each_of_several_people_counts(town, parameters, all_said, masked):
    leave(town)
    with town.hub.store.write() as connection:
        connection.execute(update(Attempt).values(parameters=parameters))
    assert f"Text message {all_said} " in text_of(town.client().get("/unknown"))
    said = text_of(town.client(Role.VIEWER, name="v", sees_personal=False).get("/unknown"))
    assert f"Text message {masked} " in said
    assert "x.example" not in said


def test_a_look_at_peoples_data_is_in_the_audit_log(town):
    leave(town)
    town.client(Role.VIEWER, name="v", sees_personal=False).get("/unknown")
    town.client(Role.VIEWER, name="w").get("/unknown")
    with town.hub.store.read() as connection:
        seen = connection.execute(
            select(AuditEntry.actor).where(AuditEntry.action == "view.personal")
        )
        assert seen.scalars().all() == ["user:w"]


@pytest.mark.parametrize(("name", "state"), [("arrived", "succeeded"), ("drop", "failed")])
def test_an_answer_settles_it_and_is_audited(town, name, state):
    ids = leave(town)
    client = town.client(Role.OPERATOR, name="jane")
    assert answer(town, ids, client, answer=name).location == "/unknown"
    assert states(town) == [state]
    assert "Noted" in client.get("/unknown").text
    with town.hub.store.read() as connection:
        entry = connection.execute(
            select(AuditEntry.actor, AuditEntry.reason).where(AuditEntry.action == f"settle.{name}")
        ).one()
    assert tuple(entry) == ("user:jane", "they said so")


def test_it_is_sent_again_only_when_that_was_asked_about(town):
    ids = leave(town)
    asked = answer(town, ids, answer="again")
    assert asked.status_code == 200
    assert "Send it again? " in text_of(asked)
    assert "If the first one did arrive, the person gets it twice" in text_of(asked)
    assert states(town) == ["unknown"]
    assert answer(town, ids, answer="again", sure="again").status_code == 303
    assert states(town) == ["retrying"]


def test_an_answer_needs_a_reason(town):
    ids = leave(town)
    said = answer(town, ids, reason="  ")
    assert (said.status_code, "Say how you know" in said.text) == (200, True)
    assert states(town) == ["unknown"]


def test_the_second_of_two_is_told_what_the_first_said(town):
    ids = leave(town)
    answer(town, ids, town.client(Role.OPERATOR, name="ann"), reason="she has it")
    bob = town.client(Role.OPERATOR, name="bob")
    answer(town, ids, bob, answer="drop")
    said = text_of(bob.get("/unknown"))
    assert "ann has answered before you: “it arrived” (she has it)" in said
    assert states(town) == ["succeeded"]
    assert "Settled meanwhile" in text_of(answer(town, ids, bob, answer="again"))


def test_many_alike_are_answered_at_once_after_a_look(town):
    outage = datetime(2026, 11, 21, 3, 15, 20, tzinfo=UTC)
    ids = leave(town, 7, at=outage)
    leave(town, 1, at=outage + timedelta(hours=1))
    client = town.client()
    said = client.get("/unknown").text
    assert "7 text messages through sms" in said
    link = said.partition('href="/unknown/alike')[2].partition('"')[0].replace("&amp;", "&")
    page = client.get(f"/unknown/alike{link}")
    assert "What became of these 7?" in text_of(page)
    assert "and 2 more" in text_of(page)
    assert page.text.count('name="ids"') == 7
    assert answer(town, ids, client).status_code == 303
    assert states(town) == ["succeeded"] * 7 + ["unknown"]
    assert "Noted for 7" in client.get("/unknown").text


def test_many_are_sent_again_only_when_that_was_asked_about(town):
    ids = leave(town, 3)
    asked = answer(town, ids, answer="again")
    assert "Send all 3 again?" in text_of(asked)
    assert states(town) == ["unknown"] * 3


def test_a_viewer_answers_nothing(town):
    ids = leave(town)
    viewer = town.client(Role.VIEWER, name="v")
    assert "<button name" not in viewer.get("/unknown").text
    assert answer(town, ids, viewer).status_code == 403
    assert viewer.get("/unknown/alike").status_code == 403
    assert states(town) == ["unknown"]


def test_odd_answers_are_refused(town):
    ids = leave(town)
    assert answer(town, []).status_code == 400
    for odd in ({"answer": "maybe"}, {"reason": "x" * 501}, {"reason": "a\x00b"}):
        assert answer(town, ids, **odd).status_code == 400, odd
    assert answer(town, ["1 OR 1=1"]).status_code == 404
    assert answer(town, [uuid4()]).status_code == 303
    client = town.client()
    for odd in ("before=x", "before=%00"):
        assert client.get(f"/unknown?{odd}").status_code == 400
    for odd in ("", "minute=x", "minute=9999-12-31T23:59:59-12:00"):
        assert client.get(f"/unknown/alike?{odd}").status_code == 400
    assert states(town) == ["unknown"]


def test_what_others_wrote_is_inert(town):
    parameters = {"to": HOSTILE, "body": HOSTILE}
    leave(town, evidence=[{"at": HOSTILE, "by": HOSTILE, "said": HOSTILE}], parameters=parameters)
    said = town.client().get("/unknown").text
    assert "<img src=x" not in said
    assert said.count("&lt;img src=x") >= 3


def test_many_are_sent_again_by_whoever_gave_the_password_lately(town):
    ids = leave(town, 3)
    admin = town.client()
    wait_eleven_minutes(town)
    asked = answer(town, ids, admin, answer="again", sure="again")
    assert asked.location.startswith("/prove")
    assert answer(town, ids[:1], admin, answer="again", sure="again").location == "/unknown"
    assert answer(town, ids[1:], admin, answer="drop").location == "/unknown"


def test_what_somebody_else_gave_as_a_reason_is_masked_too(town):
    [one] = leave(town)
    masked = town.client(Role.OPERATOR, name="masked", sees_personal=False)
    answer(town, [one], reason="jane@example.com told me")
    answer(town, [one], masked)
    said = text_of(masked.get("/unknown"))
    assert "has answered before you" in said
    assert "jane@" not in said
