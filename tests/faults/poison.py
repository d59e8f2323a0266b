"""Poison deliveries: calls that harm their worker, marked by a word among their parameters."""

import os
import re
import threading
from collections.abc import Callable
from typing import Any

WORD = "poison"


def _abort() -> None:
    os.abort()


def _never_return() -> None:
    """Block for ever, ignoring every timeout; other threads still run."""
    threading.Event().wait()


def _loop() -> None:
    while True:
        pass


def _loop_in_c() -> None:
    """Search for ever in C, without giving any other thread of the process a turn."""
    re.match(r"(a+)+b", "a" * 100)


def _allocate() -> None:
    """Allocate and fill 2 GiB."""
    bytearray(2**31)


HARMS: dict[str, Callable[[], None]] = {
    "abort": _abort,
    "never returns": _never_return,
    "loops": _loop,
    "loops in C": _loop_in_c,
    "allocates": _allocate,
}


def arm(harm: str) -> None:
    """Replace calls whose parameters contain the word by a harm, just before the adapter is called.

    The hang timer is shorter than a database may hang, so only here, and not with HURRY.
    """
    from hub.gateways.destination_client import DestinationClient
    from hub.worker import hang_timer

    hang_timer.AFTER_S = 8.0

    original = DestinationClient.perform

    def perform(self: DestinationClient, call: Any) -> Any:
        if WORD in repr(call.parameters):
            HARMS[harm]()
        return original(self, call)

    DestinationClient.perform = perform  # type: ignore[method-assign]
