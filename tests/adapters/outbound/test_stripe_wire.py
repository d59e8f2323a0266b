"""Each request to Stripe is on the wire as it was recorded: method, URL, headers, body."""

import json
from functools import cache

import pytest

from tests.adapters.outbound.stripe_wire import SNAPSHOT, Request, recorded

SNAPSHOTS: dict[str, list[Request]] = json.loads(SNAPSHOT.read_text())


@cache
def sent() -> dict[str, list[Request]]:
    return recorded()


def test_every_story_is_recorded() -> None:
    assert list(sent()) == list(SNAPSHOTS)
    paths = {request["url"].partition("?")[0] for story in SNAPSHOTS.values() for request in story}
    assert len(paths) >= 15
    assert {request["method"] for story in SNAPSHOTS.values() for request in story} == {
        "GET",
        "POST",
    }


@pytest.mark.parametrize("story", SNAPSHOTS)
def test_the_requests_are_the_recorded_ones(story: str) -> None:
    assert sent()[story] == SNAPSHOTS[story]


def test_no_request_says_anything_about_this_machine() -> None:
    names = {name for story in sent().values() for one in story for name in one["headers"]}
    assert names == {
        "accept-encoding", "authorization", "content-length", "content-type", "idempotency-key",
        "stripe-account", "stripe-context", "stripe-version", "user-agent",
    }  # fmt: skip
    agents = {one["headers"]["user-agent"] for story in sent().values() for one in story}
    assert agents == {"hub"}


def test_each_write_has_a_key_and_no_read_has_one() -> None:
    for story in sent().values():
        for one in story:
            assert ("idempotency-key" in one["headers"]) is (one["method"] == "POST")
