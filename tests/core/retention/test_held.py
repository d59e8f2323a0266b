"""Held leads that nobody decided: nobody loses one without having been told a week before."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from hub.core.configuration import Retention
from hub.core.leads.held import discard, release
from hub.core.models import Alert, AuditEntry, EventKey, StoredEvent, StoredRequest
from hub.core.monitoring import alerts
from tests.core.making import NOW, rows
from tests.core.retention.aging import DAY, Attic, count

# The day of NOW begins 12 h before it.
DAWN = NOW - timedelta(hours=12, microseconds=NOW.microsecond)
TOLD = DAWN + 54 * DAY
GONE = DAWN + 61 * DAY


def keep(attic: Attic, *ids: str, at: Any = NOW) -> list[UUID]:
    with attic.database.write() as connection:
        return [attic.store(connection, at, one, held=True)[0] for one in ids]


def told(attic: Attic) -> list[tuple[str, str, bool]]:
    """Return the subject and message of each alert, and whether it is open."""
    with attic.database.read() as connection:
        return [(row.subject, row.message, row.ended_at is None)
                for row in rows(connection, Alert)]  # fmt: skip


def held(attic: Attic) -> int:
    with attic.database.read() as connection:
        return count(connection, StoredEvent, StoredEvent.state == "held")


def test_people_are_told_a_week_before_how_many_go_and_when(attic) -> None:
    keep(attic, "e1", "e2")
    keep(attic, "e3", at=NOW + DAY)
    attic.clean(now=TOLD - timedelta(seconds=1))
    assert told(attic) == []
    attic.clean(now=TOLD)
    attic.clean(now=TOLD + timedelta(hours=1))
    assert told(attic) == [
        (
            "leads put aside on 2026-11-21",
            "2 held leads are deleted after 2027-01-21 00:00 UTC unless somebody decides: "
            "`hub held` lists them, `hub release` and `hub discard` decide",
            True,
        )
    ]
    assert held(attic) == 3


def test_an_undecided_lead_goes_with_its_request_and_the_audit_log_says_so(attic) -> None:
    keep(attic, "e1", "e2")
    attic.clean(now=TOLD)
    assert attic.clean(now=GONE - timedelta(seconds=1)) == {}
    assert attic.clean(now=GONE) == {"held leads": 2}
    attic.clean(now=GONE + timedelta(seconds=20))
    with attic.database.read() as connection:
        assert count(connection, StoredRequest) == count(connection, StoredEvent) == 0
        assert count(connection, EventKey) == 2, "the same form, sent again, is no new lead"
        [entry] = rows(connection, AuditEntry)
    assert (entry.actor, entry.action, entry.subject, entry.detail) == (
        "retention", "leads.expire", "leads put aside on 2026-11-21", {"leads": 2},
    )  # fmt: skip
    assert [is_open for _, _, is_open in told(attic)] == [False]


@pytest.mark.parametrize("late", [timedelta(hours=1), 3 * DAY, 30 * DAY])
def test_a_hub_that_comes_late_to_tell_waits_for_the_week(attic, late: timedelta) -> None:
    keep(attic, "e1")
    first = TOLD + late
    attic.clean(now=first)
    assert f"after {first + 7 * DAY:%Y-%m-%d %H:%M} UTC" in told(attic)[0][1]
    assert attic.clean(now=first + 7 * DAY - timedelta(seconds=1)) == {}
    assert attic.clean(now=first + 7 * DAY) == {"held leads": 1}


def test_what_a_person_decides_meanwhile_stays(attic) -> None:
    one, two, _ = keep(attic, "e1", "e2", "e3")
    attic.clean(now=TOLD)
    with attic.database.write() as connection:
        release(connection, attic.town, one, actor="dana", now=TOLD)
        discard(connection, two, actor="dana", now=TOLD, reason="spam")
    attic.clean(now=TOLD + DAY)
    assert told(attic)[0][1].startswith("1 held lead is deleted after")
    assert attic.clean(now=GONE) == {"held leads": 1}
    with attic.database.read() as connection:
        found = select(StoredEvent.id, StoredEvent.state).order_by(StoredEvent.id)
        states = {row.id: row.state for row in connection.execute(found)}
    assert states == {one: "matched", two: "discarded"}


def test_the_alert_ends_when_all_are_decided(attic) -> None:
    [one] = keep(attic, "e1")
    attic.clean(now=TOLD)
    with attic.database.write() as connection:
        discard(connection, one, actor="dana", now=TOLD, reason="spam")
    attic.clean(now=TOLD + DAY)
    assert [is_open for _, _, is_open in told(attic)] == [False]


def test_an_alert_that_a_person_ended_has_been_told(attic) -> None:
    keep(attic, "e1")
    attic.clean(now=TOLD)
    with attic.database.write() as connection:
        [alert] = rows(connection, Alert)
        alerts.end_one(connection, alert.id, now=TOLD)
    attic.clean(now=TOLD + DAY)
    assert len(told(attic)) == 1
    assert attic.clean(now=GONE) == {"held leads": 1}


@pytest.mark.parametrize("before", [None, timedelta(days=365)], ids=["for ever", "longer"])
def test_what_was_told_before_the_span_was_changed_is_told_anew(attic, before) -> None:
    keep(attic, "e1")
    attic.clean(now=TOLD)
    attic.retention = Retention(held=before)
    attic.clean(now=TOLD + DAY)
    assert [is_open for _, _, is_open in told(attic)] == [False]
    attic.retention = Retention(held=100 * DAY)
    later = DAWN + 94 * DAY
    attic.clean(now=later)
    assert [is_open for _, _, is_open in told(attic)] == [False, True]
    assert attic.clean(now=later + 7 * DAY - timedelta(seconds=1)) == {}
    assert attic.clean(now=later + 7 * DAY) == {"held leads": 1}


def test_leads_that_are_kept_for_ever_are_not_told_of(attic) -> None:
    keep(attic, "e1")
    attic.clean(now=TOLD)
    attic.retention = Retention(held=None)
    assert attic.clean(now=GONE + 100 * DAY) == {}
    assert [is_open for _, _, is_open in told(attic)] == [False]
    assert held(attic) == 1


def test_the_shortest_span_still_has_its_week(attic) -> None:
    attic.retention = Retention(held=7 * DAY)
    keep(attic, "e1")
    assert attic.clean(now=NOW + timedelta(hours=1)) == {}
    assert told(attic) == [], "that day may have more of them"
    attic.clean(now=DAWN + DAY)
    assert attic.clean(now=DAWN + 8 * DAY - timedelta(seconds=1)) == {}
    assert attic.clean(now=DAWN + 8 * DAY) == {"held leads": 1}


def test_many_go_in_steps_past_those_that_must_stay(attic) -> None:
    ids = keep(attic, *(f"e{n}" for n in range(7)))
    attic.clean(now=TOLD)
    with attic.database.write() as connection:
        alerts.begin(connection, alerts.DOUBLE_EFFECT, f"delivery {ids[0]}", "x", now=TOLD)
    assert attic.clean(now=GONE, most=2) == {"held leads": 7}
    with attic.database.read() as connection:
        [entry] = rows(connection, AuditEntry)
    assert entry.detail == {"leads": 7}
