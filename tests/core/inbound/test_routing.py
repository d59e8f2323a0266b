"""Routing: the matching routes of an event, by the event's own data."""

import sys
from datetime import timedelta
from typing import Any

import pytest

from adapters.contract.fields import rfc3339
from hub.core.ids import new_id
from hub.core.inbound.routing import Match
from hub.core.models import DeliveryState
from tests.core.making import NOW, Town, deliveries_of, route, told


def match(event: Any, *routes: Any, source: str = "provider") -> list[Match]:
    router = Town(routes=routes).router
    return router.match(event, event_id=new_id(NOW), source=source, received_at=NOW)


def names(event: Any, *routes: Any, source: str = "provider") -> list[str]:
    return [one.route.name for one in match(event, *routes, source=source)]


@pytest.mark.parametrize(
    ("pattern", "taken"),
    [
        ("payment.succeeded", True),
        ("payment.*", True),
        ("*.succeeded", True),
        ("*", True),
        ("payment.s??ceeded", True),
        ("payment", False),
        ("payment.", False),
        ("Payment.Succeeded", False),
        ("invoice.*", False),
    ],
)
def test_a_route_takes_the_types_of_its_globs(pattern: str, taken: bool) -> None:
    event = told(type="payment.succeeded")
    assert names(event, route("a", on=(pattern,))) == (["a"] if taken else [])


def test_one_of_several_globs_is_enough_and_matches_once() -> None:
    assert names(told(type="sms.sent"), route("a", on=("sms.sent", "sms.*"))) == ["a"]


def test_an_event_takes_all_its_routes_in_the_order_of_the_file() -> None:
    assert names(told(), route("b"), route("a"), route("c", on=("x",))) == ["b", "a"]


def test_a_route_that_names_sources_takes_no_others() -> None:
    only = route("a", sources=("stripe",))
    assert names(told(), only, source="stripe") == ["a"]
    assert names(told(), only, source="shop") == []


@pytest.mark.parametrize(
    ("wants", "live", "taken"),
    [
        ("live", True, True), ("live", False, False), ("test", True, False),
        ("test", False, True), ("any", True, True), ("any", False, True),
    ],
)  # fmt: skip
def test_a_route_takes_live_events_unless_it_says_otherwise(
    wants: str, live: bool, taken: bool
) -> None:
    assert bool(names(told(live=live), route("a", live=wants))) is taken
    assert bool(names(told(live=live), route("a"))) is live


def test_a_condition_decides_by_data_event_and_site() -> None:
    when = "data.amount >= 10000 and event.source == 'provider' and site.country == 'US'"
    assert names(told(data={"amount": 10000}), route("a", when=when)) == ["a"]
    assert names(told(data={"amount": 9999}), route("a", when=when)) == []
    assert names(told(data={}), route("a", when=when)) == []


def test_a_condition_sees_the_providers_own_object() -> None:
    event = told(native_type="odd", data={"x": 1})
    assert names(event, route("a", when="data.native.native_type == 'odd'")) == ["a"]


def test_a_condition_that_needs_the_contact_is_left_to_the_claim() -> None:
    [one] = match(told(), route("a", when="contact.phone and data.nope"))
    assert one.state == DeliveryState.PENDING


def test_a_condition_that_fails_makes_a_failed_delivery_that_says_why() -> None:
    [one] = match(told(data={"amount": "secret"}), route("a", when="data.amount > 5"))
    assert one.state == DeliveryState.FAILED
    assert one.error == "`when` failed: TypeError in the expression"


def test_a_route_that_is_off_takes_nothing_but_is_still_known() -> None:
    town = Town(routes=[route("a", enabled=False)])
    assert names(told(), *town.routes) == []
    assert town.router.by_name("a") is not None


def test_a_route_is_found_by_its_earlier_names_but_never_in_place_of_another() -> None:
    new, other = route("new", was=("old", "other")), route("other")
    router = Town(routes=[new, other]).router
    assert router.by_name("old") == new
    assert router.by_name("other") == other
    assert router.by_name("gone") is None


def test_an_incomplete_event_takes_no_route_yet() -> None:
    assert match(told(incomplete=True), route("a")) == []


def test_types_that_strangers_invent_do_not_fill_the_memory() -> None:
    router = Town().router
    for n in range(11_000):
        router.match(told(type=f"x.{n}"), event_id=new_id(NOW), source="provider", received_at=NOW)
    assert sys.getsizeof(router._by_type) < 1_000_000
    assert len(router._by_type) == 10_000


def test_a_time_goes_over_the_wire_as_utc_with_z() -> None:
    assert rfc3339(NOW) == "2026-11-21T12:00:00.123456Z"


def test_a_delayed_delivery_waits_until_its_time_by_the_databases_clock(database) -> None:
    town = Town(routes=[route("later", delay_s=3600), route("now")])
    with database.write() as connection:
        town.take_in(connection, {"id": "e1"}, at=NOW - timedelta(days=400))
        later, now = sorted(deliveries_of(connection), key=lambda row: row.route)
    assert (later.state, now.state) == ("waiting", "pending")
    wait = later.next_attempt_at - now.next_attempt_at
    assert wait == timedelta(hours=1)
    assert later.created_at == later.since == now.next_attempt_at
    assert later.since > NOW - timedelta(days=399), "not the time of the webhook"
