"""Backoff: exponential delays with full jitter, or the delay that the provider asked for."""

from hub.core.configuration import RetryPlan

LEAST_ASKED_S = 1.0
MOST_ASKED_S = 6 * 3600.0

LEAST_BLOCK_S = 30.0
MOST_BLOCK_S = 600.0


def retry_delay_s(
    plan: RetryPlan, tries: int, *, chance: float, asked_s: float | None = None
) -> float:
    """Return the seconds to wait after the `tries`-th try. `chance` in [0, 1) is the jitter.

    A delay that the provider asked for (`Retry-After`) is honoured between 1 s and 6 h. Up to a
    tenth is added, so that deliveries that were refused together do not come back together.
    """
    if asked_s is not None:
        return min(max(asked_s, LEAST_ASKED_S), MOST_ASKED_S) * (1 + chance / 10)
    doubled = plan.first_delay_s * float(2 ** min(tries - 1, 60))
    return min(doubled, plan.max_delay_s) * chance


def block_s(setbacks: int) -> float:
    """Return the seconds to block a lane after `setbacks` blocks in a row: 30 s to 10 min.

    The time doubles with each setback.
    """
    return float(min(LEAST_BLOCK_S * 2 ** min(setbacks - 1, 30), MOST_BLOCK_S))
