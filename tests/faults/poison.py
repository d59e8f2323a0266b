"""Deliveries that harm the worker that makes their call: known by a word among their parameters."""

import os
import re
import threading
from collections.abc import Callable
from typing import Any

WORD = "poison"


def _abort() -> None:
    os.abort()


def _never_return() -> None:
    """Ignore every time-out; other threads still get their turn."""
    threading.Event().wait()


def _loop() -> None:
    while True:
        pass


def _loop_in_c() -> None:
    """Search for ever without giving any other thread of the process a turn."""
    re.match(r"(a+)+b", "a" * 100)


def _allocate() -> None:
    """Ask for 2 GiB, and use them."""
    bytearray(2**31)


HARMS: dict[str, Callable[[], None]] = {
    "abort": _abort,
    "never returns": _never_return,
    "loops": _loop,
    "loops in C": _loop_in_c,
    "allocates": _allocate,
}


def arm(harm: str) -> None:
    """Let each call whose parameters have the word do harm, where its adapter would have called.

    The last timer is shorter than a database may hang: so only here, and not with HURRY.
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
