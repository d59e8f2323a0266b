"""Listing what Stripe sent while nobody listened: whole, oldest first, a page at a time."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from adapters import AdapterError, ListedRecord, NotSent
from adapters.stripe.inbound import StripeInbound
from adapters.stripe.outbound import StripeOutbound
from hub.gateways.destination_client import LISTED_BYTES
from hub.gateways.http.transport import GuardedTransport
from tests.adapters.posting import NOW, NOW_S, posted
from tests.adapters.stripe_events import ADAPTER, fixture, parsed
from tests.gateways.servers import raw_server
from tests.stripe_far_end import KEY, StripeFarEnd, stripe_far_end

HOUR = timedelta(hours=1)


@pytest.fixture
def stripe() -> Iterator[StripeFarEnd]:
    with stripe_far_end() as far:
        yield far


@pytest.fixture(scope="module")
def transport() -> GuardedTransport:
    return GuardedTransport(allow_private=True, timeout_s=15, max_answer_bytes=LISTED_BYTES)


def account(url: str, key: str = KEY, **settings: Any) -> dict[str, Any]:
    loaded = StripeOutbound.settings_schema().load({"api_key": key} | settings)
    return {**loaded, "base_url": url}


def fill(stripe: StripeFarEnd, count: int) -> list[str]:
    stripe.objects["events"].clear()
    for number in range(count):
        event = fixture("payment_intent.succeeded")
        event |= {"id": f"evt_{number}", "created": NOW_S - 60 + number // 10}
        stripe.objects["events"].append(event)
    return [event["id"] for event in stripe.objects["events"]]


def ids(listed: Iterator[ListedRecord]) -> list[str]:
    return [ADAPTER.parse(posted(one.body))[0].external_id for one in listed]


@pytest.mark.parametrize("count", [0, 1, 99, 100, 101, 200, 201, 250])
def test_each_event_is_listed_once_oldest_first(
    stripe: StripeFarEnd, transport: GuardedTransport, count: int
) -> None:
    made = fill(stripe, count)
    listed = ADAPTER.list_since(NOW - HOUR, NOW, transport, account(stripe.url))
    assert ids(listed) == made


def test_250_events_are_three_pages(stripe: StripeFarEnd, transport: GuardedTransport) -> None:
    """Two of them are asked for again, since the oldest events come first."""
    made = fill(stripe, 250)
    listed = ADAPTER.list_since(NOW - HOUR, NOW, transport, account(stripe.url))
    assert ids(listed) == made
    after = [parse_qs(urlsplit(one.path).query).get("starting_after") for one in stripe.received]
    assert after == [None, ["evt_150"], ["evt_50"], ["evt_50"], ["evt_150"]]


@pytest.mark.parametrize("most", [1, 7, 13])
def test_pages_may_be_shorter_than_asked_for(
    stripe: StripeFarEnd, transport: GuardedTransport, most: int
) -> None:
    made = fill(stripe, 245)
    stripe.most = most
    assert ids(ADAPTER.list_since(NOW - HOUR, NOW, transport, account(stripe.url))) == made


def test_a_page_that_breaks_off_leaves_nothing_that_looks_whole(
    stripe: StripeFarEnd, transport: GuardedTransport
) -> None:
    fill(stripe, 250)
    stripe.told = lambda _: len(stripe.received) == 2 and stripe.forbidden.add("/v1/events")
    listed = ADAPTER.list_since(NOW - HOUR, NOW, transport, account(stripe.url))
    with pytest.raises(AdapterError, match="403"):
        next(listed)
    assert len(stripe.received) == 3


def test_no_page_is_larger_than_an_answer_may_be(
    stripe: StripeFarEnd, transport: GuardedTransport
) -> None:
    made = fill(stripe, 201)
    for event in stripe.objects["events"]:
        event["data"]["object"]["description"] = "x" * 45_000
    assert ids(ADAPTER.list_since(NOW - HOUR, NOW, transport, account(stripe.url))) == made


def test_what_is_older_is_left_out(stripe: StripeFarEnd, transport: GuardedTransport) -> None:
    made = fill(stripe, 30)
    since = NOW - timedelta(seconds=58)
    assert ids(ADAPTER.list_since(since, NOW, transport, account(stripe.url))) == made[20:]


def test_what_comes_in_the_meantime_displaces_nothing(
    stripe: StripeFarEnd, transport: GuardedTransport
) -> None:
    made = fill(stripe, 250)
    listed = ADAPTER.list_since(NOW - HOUR, NOW, transport, account(stripe.url))
    seen = [next(listed)]
    for number in range(125):
        stripe.add("events", **fixture("payment_intent.succeeded") | {"id": f"evt_late{number}"})
    assert ids(iter([*seen, *listed])) == made


def test_one_page_is_held_at_a_time(stripe: StripeFarEnd, transport: GuardedTransport) -> None:
    fill(stripe, 500)
    listed = ADAPTER.list_since(NOW - HOUR, NOW, transport, account(stripe.url))
    next(listed)
    assert len(stripe.received) == 6  # five for the places where pages end, one for the oldest
    for _ in range(99):
        next(listed)
    assert len(stripe.received) == 6
    next(listed)
    assert len(stripe.received) == 7


def test_what_is_listed_is_the_event_that_was_sent(
    stripe: StripeFarEnd, transport: GuardedTransport
) -> None:
    sent = fixture("charge.refunded.2020-08-27") | {"created": NOW_S}
    stripe.objects["events"].append(sent | {"pending_webhooks": 0})
    (one,) = ADAPTER.list_since(NOW - HOUR, NOW, transport, account(stripe.url))
    assert ADAPTER.parse(posted(one.body)) == [parsed(sent)]
    assert json.loads(one.body)["pending_webhooks"] == 0


def test_the_list_is_the_connected_account_s(
    stripe: StripeFarEnd, transport: GuardedTransport
) -> None:
    list(ADAPTER.list_since(NOW, NOW, transport, account(stripe.url, account="acct_1")))
    assert [one.headers["stripe-account"] for one in stripe.received] == ["acct_1"]


def listing_fails(transport: GuardedTransport, settings: dict[str, Any], **since: int) -> str:
    with pytest.raises(AdapterError) as failed:
        list(ADAPTER.list_since(NOW - timedelta(**since), NOW, transport, settings))
    assert KEY not in str(failed.value)
    return str(failed.value)


def test_what_cannot_be_listed_says_why(stripe: StripeFarEnd, transport: GuardedTransport) -> None:
    fill(stripe, 50)
    good = account(stripe.url)
    assert "api_key" in listing_fails(transport, {}, hours=1)
    assert "api_key" in listing_fails(transport, account(stripe.url, ""), hours=1)
    assert "30 days" in listing_fails(transport, good, days=30, seconds=1)
    assert stripe.received == []
    assert "401" in listing_fails(transport, account(stripe.url, "sk_test_wrong_000"), hours=1)
    stripe.forbidden = {"/v1/events"}
    assert "403" in listing_fails(transport, good, hours=1)


def test_thirty_days_are_not_too_long(stripe: StripeFarEnd, transport: GuardedTransport) -> None:
    made = fill(stripe, 3)
    since = NOW - timedelta(days=30)
    assert ids(ADAPTER.list_since(since, NOW, transport, account(stripe.url))) == made


def test_a_line_that_breaks_is_not_the_list_s_end(transport: GuardedTransport) -> None:
    with raw_server(lambda _: None) as url, pytest.raises(NotSent):
        list(ADAPTER.list_since(NOW - HOUR, NOW, transport, account(url)))


def test_it_says_that_it_lists_and_with_whose_credentials() -> None:
    assert StripeInbound.lists
    assert StripeInbound.account == StripeOutbound.name
