"""Restored database: calls that may have been made since the backup are not repeated blindly."""

from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import update

from adapters import Action, Effect, LookupResult, LookupVerdict
from adapters.http.outbound import HttpOutbound
from hub.core.delivery.claim import claim
from hub.core.delivery.context import RenderContexts
from hub.core.delivery.reconcile import due_for_lookup, record_lookup
from hub.core.delivery.restore_detection import (
    LASTS,
    SLACK,
    TOLD_FOR,
    LossWindow,
    Watermark,
    end_restore_alert,
    is_missing,
    loss_windows,
    newest_watermark,
    note_restored,
    possible_duplicate,
)
from hub.core.delivery.settle import SettleAnswer, settle
from hub.core.expressions.templates import Parameters
from hub.core.inbound.routing import site_context
from hub.core.models import Alert, Attempt, AuditEntry, Delivery, Restoration, database_later
from tests.core.making import (
    NOW,
    Town,
    attempts_of,
    deliveries_of,
    end_lease,
    lease_of,
    make_due,
    one_delivery,
    route,
    rows,
)

BACKUP = NOW - timedelta(hours=10)
NOTICED = NOW + timedelta(minutes=1)
POST = HttpOutbound.actions["post"]
ONCE = Action(Effect.AT_MOST_ONCE, POST.parameters, supports_lookup=True, matched_by_content=True)
BY_TOKEN = Action(Effect.AT_MOST_ONCE, POST.parameters, supports_lookup=True)
NATURAL = Action(Effect.NATURAL, POST.parameters)
SHORT_LIVED = Action(Effect.KEYED, POST.parameters, key_life_s=3600)


class OnceTown(Town):
    def effect(self, destination: str, action: str) -> Effect:
        return Effect.AT_MOST_ONCE

    def supports_lookup(self, destination: str, action: str) -> bool:
        return True


@pytest.fixture
def town() -> OnceTown:
    return OnceTown()


@pytest.fixture
def connection(database):
    with database.write() as connection:
        yield connection


def restore(connection, **options: Any) -> bool:
    values: dict[str, Any] = {"since": BACKUP, "now": NOTICED, "actor": "hub"}
    return note_restored(connection, **values | options)


def claim_it(connection, town, action: Action = ONCE, *, sandbox: bool = False, at=NOTICED) -> Any:
    """Claim due deliveries as a drain does; return the claims."""
    make_due(connection)
    end_lease(connection)
    contexts = RenderContexts(
        connection, site=site_context(town.configuration.site), inbound=town.inbound, now=at
    )
    return claim(
        connection, lease_of(connection), slots=8, router=town.router, contexts=contexts, now=at,
        sandbox=sandbox, actions={"post": action}, restored=loss_windows(connection, now=at),
    )[0]  # fmt: skip


def look(connection, town, verdict: LookupVerdict, at) -> None:
    for doubt in due_for_lookup(connection, town, most=9, now=at):
        record_lookup(connection, doubt, LookupResult(verdict, "seen", "SM1"), keyed=False, now=at)


def states(connection) -> list[tuple[str, list[str]]]:
    attempts = attempts_of(connection)
    return [
        (one.state, [row.state for row in attempts if row.delivery_id == one.id])
        for one in deliveries_of(connection)
    ]


def test_an_event_that_comes_again_is_looked_up_before_its_text_is_sent(connection, town) -> None:
    restore(connection)
    town.take_in(connection, {"id": "e1"}, at=NOTICED + timedelta(minutes=5))
    assert claim_it(connection, town) == []
    assert states(connection) == [("unknown", ["unknown"])]
    [attempt] = attempts_of(connection)
    assert (attempt.earliest_at, attempt.blind) == (NOW - SLACK, False)
    assert "restored from a backup" in attempt.evidence[0]["said"]
    assert attempt.parameters == {"body": "e1"}
    [doubt] = due_for_lookup(connection, town, most=9, now=NOTICED + timedelta(minutes=3))
    assert doubt.since == NOW - SLACK


def test_what_the_look_up_finds_is_done_and_what_it_does_not_find_is_sent_once(
    connection, town
) -> None:
    restore(connection)
    town.take_in(connection, {"id": "e1"}, at=NOTICED)
    claim_it(connection, town)
    look(connection, town, LookupVerdict.NOT_THERE, NOTICED + timedelta(minutes=3))
    assert states(connection) == [("unknown", ["unknown"])]
    look(connection, town, LookupVerdict.NOT_THERE, NOTICED + timedelta(minutes=5))
    [claimed] = claim_it(connection, town, at=NOTICED + timedelta(minutes=5))
    assert claimed.n == 2
    town.take_in(connection, {"id": "e2"}, at=NOTICED)
    claim_it(connection, town)
    look(connection, town, LookupVerdict.THERE, NOTICED + timedelta(minutes=9))
    assert ("succeeded", ["accepted"]) in states(connection)


def test_what_is_settled_by_a_person_as_to_be_sent_is_sent(connection, town) -> None:
    restore(connection)
    town.take_in(connection, {"id": "e1"}, at=NOTICED)
    claim_it(connection, town)
    delivery_id = one_delivery(connection)
    settle(connection, delivery_id, SettleAnswer.AGAIN, reason="asked", actor="cli:jo", now=NOTICED)
    assert len(claim_it(connection, town)) == 1


def test_a_keyed_call_for_an_event_that_came_again_has_a_new_key_and_waits_for_a_person(
    connection, town
) -> None:
    restore(connection)
    town.take_in(connection, {"id": "e1"}, at=NOTICED)
    assert claim_it(connection, town, POST) == []
    assert states(connection) == [("unknown", ["unknown"])]
    assert attempts_of(connection)[0].blind
    assert due_for_lookup(connection, town, most=9, now=NOTICED + timedelta(hours=3)) == []


@pytest.mark.parametrize(
    ("action", "body"),
    [
        (BY_TOKEN, "{{ event.external_id }}"),
        (ONCE, "{{ event.id }}"),
        (ONCE, "{{ event.received_at }}"),
        (ONCE, "{{ results.all.state }}"),
    ],
)
def test_what_cannot_be_found_as_it_was_sent_waits_for_a_person(connection, action, body) -> None:
    """A token names the attempt of a lost delivery; changed texts are not found either."""
    town = OnceTown(routes=[route(with_={"body": body})])
    restore(connection)
    town.take_in(connection, {"id": "e1"}, at=NOTICED)
    assert claim_it(connection, town, action) == []
    assert attempts_of(connection)[0].blind
    assert due_for_lookup(connection, town, most=9, now=NOTICED + timedelta(hours=3)) == []


def test_a_restored_text_with_its_first_words_frozen_is_found_by_them(connection) -> None:
    town = OnceTown(routes=[route(with_={"body": "{{ event.id }}"})])
    town.take_in(connection, {"id": "e1"}, at=BACKUP)
    claim_it(connection, town)
    connection.execute(update(Attempt).values(state="not_processed"))
    one_delivery(connection, state="retrying", next_attempt_at=database_later(-1))
    restore(connection)
    claim_it(connection, town)
    assert not attempts_of(connection)[1].blind


@pytest.mark.parametrize(
    ("action", "sandbox", "changes"),
    [(NATURAL, False, {}), (ONCE, True, {}), (ONCE, False, {"at_least_once": True})],
    ids=["natural", "sandbox", "at least once"],
)
def test_what_may_happen_twice_is_not_held_up(connection, action, sandbox, changes) -> None:
    town = OnceTown(routes=[route(**changes)])
    restore(connection)
    town.take_in(connection, {"id": "e1"}, at=NOTICED)
    assert len(claim_it(connection, town, action, sandbox=sandbox)) == 1


def test_what_happened_after_the_restoration_is_sent_as_ever(connection, town) -> None:
    restore(connection, now=NOW - timedelta(hours=1))
    town.take_in(connection, {"id": "e1"}, at=NOW)
    assert len(claim_it(connection, town, at=NOW)) == 1


def test_a_window_is_forgotten_when_no_provider_sends_again_any_more(connection, town) -> None:
    restore(connection)
    assert len(loss_windows(connection, now=NOTICED + LASTS - timedelta(seconds=1))) == 1
    assert loss_windows(connection, now=NOTICED + LASTS) == []


def restored_from(connection, town, **values: Any) -> None:
    """Put one delivery with these columns into the backup, and restore."""
    town.take_in(connection, {"id": "e1"}, at=BACKUP)
    one_delivery(connection, **values)
    restore(connection)


def test_what_waited_in_the_backup_and_became_due_since_is_looked_up(connection, town) -> None:
    restored_from(connection, town, state="waiting", next_attempt_at=database_later(-60))
    assert claim_it(connection, town) == []
    [attempt] = attempts_of(connection)
    assert attempt.earliest_at == BACKUP - SLACK


def test_what_is_due_later_than_the_restoration_was_never_sent(connection, town) -> None:
    restored_from(connection, town, state="waiting", next_attempt_at=database_later(60))
    assert len(claim_it(connection, town)) == 1


def test_what_was_to_be_tried_again_is_looked_up_though_it_has_an_attempt(connection, town) -> None:
    town.take_in(connection, {"id": "e1"}, at=BACKUP)
    claim_it(connection, town)
    connection.execute(update(Attempt).values(state="not_processed"))
    one_delivery(connection, state="retrying", next_attempt_at=database_later(-1))
    restore(connection)
    assert claim_it(connection, town) == []
    assert states(connection) == [("unknown", ["not_processed", "unknown"])]
    look(connection, town, LookupVerdict.NOT_THERE, NOTICED + timedelta(minutes=3))
    look(connection, town, LookupVerdict.NOT_THERE, NOTICED + timedelta(minutes=5))
    assert len(claim_it(connection, town)) == 1


def test_a_call_that_was_under_way_at_the_backup_is_not_concluded_from_its_token(
    connection, town
) -> None:
    town.take_in(connection, {"id": "e1"}, at=BACKUP)
    claim_it(connection, town)
    restore(connection)
    assert attempts_of(connection)[0].blind


def test_a_restored_keyed_call_is_made_again_under_its_key(connection, town) -> None:
    restored_from(connection, town)
    assert len(claim_it(connection, town, POST)) == 1


def test_a_restored_key_that_the_provider_has_forgotten_is_looked_up(connection, town) -> None:
    restored_from(connection, town)
    assert claim_it(connection, town, SHORT_LIVED) == []
    assert not attempts_of(connection)[0].blind


def test_what_is_postponed_after_the_restoration_stays_doubtful(connection, town) -> None:
    restored_from(connection, town)
    connection.execute(update(Delivery).values(next_attempt_at=database_later(300)))
    assert claim_it(connection, town) == []
    assert states(connection) == [("unknown", ["unknown"])]


def test_a_restoration_is_told_audited_and_noted_once_for_its_mark(connection) -> None:
    mark = Watermark(uuid4(), NOW)
    assert restore(connection, mark=mark)
    assert not restore(connection, mark=mark)
    assert len(rows(connection, Restoration)) == 1
    [alert] = rows(connection, Alert)
    assert alert.kind == "restored from a backup"
    assert "2026-11-21T02:00:00Z" in alert.message
    [entry] = rows(connection, AuditEntry)
    assert (entry.action, entry.actor, entry.detail) == (
        "restored", "hub", {"since": "2026-11-21T02:00:00Z"},
    )  # fmt: skip
    end_restore_alert(connection, now=NOTICED + TOLD_FOR - timedelta(seconds=1))
    assert rows(connection, Alert)[0].ended_at is None
    end_restore_alert(connection, now=NOTICED + TOLD_FOR)
    assert rows(connection, Alert)[0].ended_at is not None


def test_an_attempt_that_is_there_is_not_lost_and_one_that_is_not_is(connection, town) -> None:
    assert newest_watermark(connection) is None
    town.take_in(connection, {"id": "e1"})
    claim_it(connection, town, at=NOW)
    mark = newest_watermark(connection)
    assert mark is not None
    assert not is_missing(connection, mark, now=NOW)
    assert is_missing(connection, Watermark(uuid4(), NOW), now=NOW)
    assert not is_missing(
        connection, Watermark(uuid4(), NOW), now=NOW + LASTS + timedelta(seconds=1)
    )


HOURS = st.integers(-30, 30)


@given(backup=HOURS, noticed=HOURS, occurred=HOURS, received=HOURS)
def test_no_event_that_the_lost_hub_can_have_seen_is_sent_unseen(
    backup, noticed, occurred, received
) -> None:
    """The outcome is unknown for each event that this database ingested after the backup and that
    occurred before the restoration was noticed.
    """
    row: Any = SimpleNamespace(
        unsure_since=None, attempts=0,
        event_occurred_at=NOW + timedelta(hours=occurred),
        event_received_at=NOW + timedelta(hours=received),
    )  # fmt: skip
    window = LossWindow(NOW + timedelta(hours=backup), NOW + timedelta(hours=noticed))
    lost = possible_duplicate(row, ONCE, Parameters({}), [window], frozen=False, now=NOW)
    assert (lost is not None) == (received > backup and occurred <= noticed)
    if lost:
        first = min(row.event_occurred_at, row.event_received_at)
        assert lost.earliest_at <= max(window.since, first)
