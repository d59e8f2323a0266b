"""Events whose body retention has deleted: what needed it fails or is refused, and says why."""

import pytest
from sqlalchemy import select, update

from adapters.sendgrid.outbound import SendgridOutbound
from hub.core.configuration import Configuration, Destination
from hub.core.errors import BodyGone, Refused
from hub.core.events.edited_copies import copy_event
from hub.core.events.reingest import reingest
from hub.core.inbound.ingest import ingest
from hub.core.inbound.routing import ESCALATE, FETCH
from hub.core.models import Attempt, Delivery, ReplayItem, StoredRequest
from hub.core.rehydrate import require_body
from hub.core.replays.bodies import BODY_GONE
from hub.core.replays.preview import LOST, plan_of, preview_selection
from hub.core.replays.replay import Plan, preview_deliveries
from hub.core.replays.selection import Selection
from tests.core.making import (
    NOW,
    Town,
    attempts_of,
    deliveries_of,
    lease_of,
    make_due,
    request,
    route,
    rows,
)
from tests.core.replaying import begin, run, save_up
from tests.core.retention.aging import DAY, Attic
from tests.receiving import prepare

LENIENT = {"body": "{{ data.native.name | default('there') }}"}
WHY = "the request's body was deleted on 2026-11-21 (`retention.bodies` in hub.yaml)"


def without_body(attic: Attic, state: str = "failed") -> None:
    """Store an event of 100 days ago whose delivery has this state, and delete its body."""
    with attic.database.write() as connection:
        [event_id] = attic.store(connection, NOW - 100 * DAY, "e1")
        attic.attempt(connection, event_id, state)
    assert attic.clean()["bodies"] == 1


def replayed(attic: Attic, town: Town) -> list[Delivery]:
    """Make the deliveries due as a replay would that is not refused, and claim them."""
    with attic.database.write() as connection:
        again = {"state": "pending", "key_n": 1, "tries": 0}
        connection.execute(update(Delivery).values(**again))
        make_due(connection)
        town.claim(connection, lease_of(connection))
        return deliveries_of(connection)


@pytest.mark.parametrize(
    "changes",
    [
        {"with_": LENIENT},
        {"with_": {"body": "{{ data.native | tojson }}"}},
        {"when": "data.native.name is not defined or data.native.name == 'Jane'"},
    ],
)
def test_no_message_with_gaps_is_sent(attic, changes) -> None:
    """A template would fill the gap, and a condition would decide without what it asks for."""
    without_body(attic)
    [delivery] = replayed(attic, Town(routes=[route(**changes)]))
    assert delivery.state == "failed"
    assert delivery.error == f"it cannot be rendered: data.native is gone: {WHY}"


def test_what_does_not_need_the_body_is_sent(attic) -> None:
    without_body(attic)
    replayed(attic, Town(routes=[route(with_={"body": "Hello {{ data.name }}"})]))
    with attic.database.read() as connection:
        assert [one.parameters for one in attempts_of(connection)] == [{}, {"body": "Hello Jane"}]


NEEDS = Town(routes=[route(with_=LENIENT)])
RENAMED = Town(routes=[route("today", was=("all",), with_=LENIENT)])
DECIDES = Town(routes=[route(when="data.native.name")])
NEEDS_NOT = Town(routes=[route()])


@pytest.mark.parametrize(
    ("today", "state", "again", "plan"),
    [
        (NEEDS, "failed", False, Plan.REFUSED),
        (NEEDS, "skipped", False, Plan.REFUSED),
        (NEEDS, "succeeded", True, Plan.REFUSED),
        (RENAMED, "failed", False, Plan.REFUSED),
        (DECIDES, "failed", False, Plan.REFUSED),
        (NEEDS_NOT, "failed", False, Plan.ANEW),
        (NEEDS_NOT, "succeeded", True, Plan.AGAIN),
    ],
)
def test_a_replay_that_needs_the_body_is_refused_with_the_reason(
    attic, today, state, again, plan
) -> None:
    without_body(attic, state)
    with attic.database.read() as connection:
        [planned] = preview_deliveries(connection, today, {}, again=again)
        found = preview_selection(connection, today, Selection(), again=again)
    assert (planned.plan, planned.why) == (plan, BODY_GONE if plan is Plan.REFUSED else "")
    [group] = found.groups
    assert (group.plan, group.is_lost, group.may_have) == (plan, plan is Plan.REFUSED, False)
    assert len(group.examples) == 1


@pytest.mark.parametrize("name", [f"{ESCALATE}all:1", f"{FETCH}provider"])
def test_deliveries_of_the_hub_s_own_routes_may_need_it_too(attic, name: str) -> None:
    without_body(attic)
    with attic.database.write() as connection:
        connection.execute(update(Delivery).values(route=name))
        [planned] = preview_deliveries(connection, NEEDS, {})
    assert (planned.plan, planned.why) == (Plan.REFUSED, BODY_GONE)


def test_what_may_have_happened_is_repeated_as_it_was(attic) -> None:
    """Its parameters are frozen: it needs no body."""
    without_body(attic)
    with attic.database.write() as connection:
        connection.execute(update(Attempt).values(state="in_doubt"))
        [planned] = preview_deliveries(connection, NEEDS, {})
        plans = select(plan_of(connection, NEEDS, Selection(), again=False))
        assert connection.execute(plans).scalars().all() == [planned.plan]
    assert planned.plan is Plan.REPEAT


class Mailing(Town):
    """Town with a destination that mails, and a route that sends attachments."""

    @property
    def configuration(self) -> Configuration:
        known = super().configuration
        mail = Destination("ops", "sendgrid", {})
        return type(known)(version=known.version, destinations={"ops": mail}, routes=known.routes)


def test_files_are_needed_for_every_call(attic) -> None:
    assert SendgridOutbound.actions["send"].attachments == "attachments"
    files = {"to": "x@example.com", "attachments": "{{ data.attachments }}"}
    town = Mailing(routes=[route(action="send", with_=files)])
    without_body(attic)
    with attic.database.write() as connection:
        connection.execute(update(Attempt).values(state="in_doubt"))
        [planned] = preview_deliveries(connection, town, {})
        plans = select(plan_of(connection, town, Selection(), again=False))
        assert connection.execute(plans).scalars().all() == [LOST]
    assert (planned.plan, planned.why) == (Plan.REFUSED, BODY_GONE)


def test_a_bulk_replay_leaves_out_what_needs_the_body(attic) -> None:
    without_body(attic)
    with attic.database.write() as connection, pytest.raises(Refused, match="nothing of this"):
        begin(connection, Selection(), town=NEEDS)


def test_a_body_that_goes_during_a_replay_leaves_its_delivery_as_it_is(attic) -> None:
    with attic.database.write() as connection:
        [event_id] = attic.store(connection, NOW - DAY, "e1")
        attic.attempt(connection, event_id)
        started = begin(connection, Selection(), town=NEEDS)
        connection.execute(update(StoredRequest).values(body=None, body_deleted_at=NOW))
        save_up(connection)
    run(attic.database, started.replay_id, NEEDS)
    with attic.database.read() as connection:
        [item] = rows(connection, ReplayItem, ReplayItem.delivery_id)
        assert deliveries_of(connection)[0].state == "failed"
    assert (item.state, item.why) == ("left", BODY_GONE)


def test_a_request_without_its_body_is_not_read_again(attic) -> None:
    with attic.database.write() as connection:
        torn = prepare(attic.town, request(body=b"torn", at=NOW - 91 * DAY), "provider")
        ingest(connection, torn)
    attic.clean()
    attic.town.provider.reads_anything = True
    with (
        attic.database.write() as connection,
        pytest.raises(Refused, match=r"its body was deleted on 2026-11-21 \(`retention"),
    ):
        reingest(connection, attic.town, torn.row["id"])


def test_an_edited_copy_is_made_of_what_is_left(attic) -> None:
    without_body(attic)
    with attic.database.write() as connection:
        [original] = connection.execute(select(Delivery.event_id)).scalars()
        data = {"name": "Jane Doe"}
        copy_id, _ = copy_event(connection, NEEDS, original, data, actor="user:jane", now=NOW)
        connection.execute(
            update(Delivery).where(Delivery.event_id == original).values(state="failed")
        )
        make_due(connection)
        NEEDS.claim(connection, lease_of(connection))
        mine = select(Delivery.state, Delivery.error).where(Delivery.event_id == copy_id)
        [copied] = connection.execute(mine).all()
    assert copied.state == "failed"
    assert copied.error.endswith(WHY)


def test_a_body_that_was_never_kept_is_not_said_to_be_deleted(attic) -> None:
    with attic.database.write() as connection:
        attic.store(connection, NOW - DAY, "e1")
        [request_id] = connection.execute(select(StoredRequest.id)).scalars()
        require_body(connection, request_id)
        connection.execute(update(StoredRequest).values(body=None))
        with pytest.raises(BodyGone, match="the request's body was not kept"):
            require_body(connection, request_id)
