"""Lane in its holder's memory: what counts as evidence about the destination."""

import pytest

from adapters import Outcome, Verdict
from hub.core.delivery.lanes import Lease
from hub.worker.lane import CIRCUIT_OPENS_AFTER, HeldLane, RateLimiter


@pytest.fixture
def lane() -> HeldLane:
    return HeldLane(Lease("email", 1, "me"), client=None, slots=8, limiter=RateLimiter(None))


def test_failures_in_a_row_open_the_circuit(lane) -> None:
    for _ in range(CIRCUIT_OPENS_AFTER):
        assert lane.block is None
        lane.observe(Outcome(Verdict.NOT_PROCESSED, "refused"))
    assert lane.block is not None


def test_a_call_that_was_not_begun_says_nothing_about_the_destination(lane) -> None:
    """Its files could not be read, or this worker was held up."""
    for _ in range(CIRCUIT_OPENS_AFTER):
        lane.observe(Outcome(Verdict.NOT_PROCESSED, "the files", called=False))
    assert (lane.block, lane.failures) == (None, 0)
