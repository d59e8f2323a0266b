"""Numbers of examples of the searches that take long: all with `make faults`, a third otherwise."""

from hypothesis import settings

THOROUGH = "thorough"


def examples(most: int) -> int:
    """Return how many examples a test tries in this run, of so many at most."""
    return most if settings.get_current_profile_name() == THOROUGH else -(-most // 3)
