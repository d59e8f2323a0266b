"""When to try again: doubling with full jitter, or when the far end asked for it."""

from hub.core.configuration import RetryPlan

LEAST_ASKED_S = 1.0
MOST_ASKED_S = 6 * 3600.0

LEAST_BLOCK_S = 30.0
MOST_BLOCK_S = 600.0


def retry_delay_s(
    plan: RetryPlan, tries: int, *, chance: float, asked_s: float | None = None
) -> float:
    """Return how long to wait after the `tries`-th try. `chance` in [0, 1) is the jitter.

    What the far end asked for (`Retry-After`) is honoured between 1 s and 6 h, with up to a tenth
    more so that those who were asked together do not come back together.
    """
    if asked_s is not None:
        return min(max(asked_s, LEAST_ASKED_S), MOST_ASKED_S) * (1 + chance / 10)
    doubled = plan.first_delay_s * float(2 ** min(tries - 1, 60))
    return min(doubled, plan.max_delay_s) * chance


def block_s(setbacks: int) -> float:
    """Return how long a lane rests after that many setbacks in a row: 30 s doubling to 10 min."""
    return float(min(LEAST_BLOCK_S * 2 ** min(setbacks - 1, 30), MOST_BLOCK_S))
