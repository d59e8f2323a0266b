"""Preview of a bulk replay: the hub's decision for each delivery, counted in the database."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import insert, select, update

from adapters import Effect
from hub.core.errors import Refused
from hub.core.ids import new_id
from hub.core.models import (
    Attempt,
    Delivery,
    DeliveryState,
)
from hub.core.replays import preview as planning
from hub.core.replays.preview import plan_of, preview_selection
from hub.core.replays.replay import Plan
from hub.core.replays.replay import preview_deliveries as preview_rows
from hub.core.replays.selection import Selection
from tests.core.making import NOW, Town, deliveries_of, route
from tests.core.replaying import FAILED, fill

ALL = Selection()


@dataclass
class Once(Town):
    """Test hub where nothing protects `crm` from repeated effects."""

    def effect(self, destination: str, action: str) -> Effect:
        return Effect.AT_MOST_ONCE if destination == "crm" else Effect.KEYED


DOUBTS = (None, "in_doubt", "accepted", "rejected", "in_doubt elsewhere")


def _tried(delivery_id: UUID, doubt: str) -> list[dict[str, Any]]:
    """Return two attempts: one in a state (elsewhere: under another key), and a rejected one."""
    state, _, elsewhere = doubt.partition(" ")
    return [
        {"id": new_id(NOW), "delivery_id": delivery_id, "n": n, "key": key, "state": ended,
         "parameters": {}, "started_at": NOW}
        for n, key, ended in ((1, "other" if elsewhere else "k", state), (2, "k", "rejected"))
    ]  # fmt: skip


@pytest.mark.parametrize("destination", ["ops", "crm"])
def test_the_database_plans_as_the_hub_does(database, destination) -> None:
    town = Once(routes=[route(destination=destination)], destinations=[destination])
    kinds = [(state, doubt) for state in DeliveryState for doubt in DOUBTS]
    with database.write() as connection:
        fill(connection, len(kinds), town)
        for delivery, (state, doubt) in zip(deliveries_of(connection), kinds, strict=True):
            made = update(Delivery).where(Delivery.id == delivery.id)
            connection.execute(made.values(state=state, attempts=2 if doubt else 0))
            if doubt:
                connection.execute(insert(Attempt), _tried(delivery.id, doubt))
        for again in (False, True):
            expected = {
                one.delivery_id: one.plan for one in preview_rows(connection, town, {}, again=again)
            }
            plan = plan_of(connection, town, ALL, again=again)
            found = {row[0]: row[1] for row in connection.execute(select(Delivery.id, plan))}
            assert found == expected
            assert set(found.values()) >= {Plan.REFUSED, Plan.NOW, Plan.ANEW}


def test_a_preview_counts_by_what_would_be_done_and_where(database) -> None:
    town = Town(
        routes=[route("a"), route("b", destination="crm", action="put")],
        destinations=["ops", "crm"],
    )
    with database.write() as connection:
        fill(connection, 5, town)
        connection.execute(
            update(Delivery).where(Delivery.destination == "crm").values(state="succeeded")
        )
        found = preview_selection(connection, town, ALL, again=False)
    assert [(g.destination, g.action, g.plan, g.state, g.count) for g in found.groups] == [
        ("ops", "post", Plan.ANEW, "failed", 5),
        ("crm", "put", Plan.REFUSED, "succeeded", 5),
    ]
    assert (found.total, found.selected, found.needs_reason) == (5, 10, False)
    assert [len(g.examples) for g in found.groups] == [3, 3]


def test_a_preview_names_where_the_route_goes_today(database) -> None:
    with database.write() as connection:
        fill(connection, 2)
        today = Town(routes=[route(destination="crm", action="put")], destinations=["crm"])
        [group] = preview_selection(connection, today, FAILED, again=False).groups
    assert (group.destination, group.action, len(group.examples)) == ("crm", "put", 2)


def test_nobody_waits_for_a_choice_among_too_many(database, monkeypatch) -> None:
    monkeypatch.setattr(planning, "MOST", 4)
    with database.write() as connection:
        fill(connection, 5)
        with pytest.raises(Refused, match="choose a state"):
            preview_selection(connection, Town(), Selection(q="no"), again=False)
        assert (
            preview_selection(connection, Town(), Selection(state="unknown"), again=False).total
            == 0
        )


def test_a_name_with_a_star_is_a_name_and_selects_nothing_else(database) -> None:
    """A replay is made of a selection: a glob would take in more than its page says."""
    with database.write() as connection:
        fill(connection, 2)
        for selection in (Selection(destination="*"), Selection(route="*")):
            assert preview_selection(connection, Town(), selection, again=False).total == 0
