"""Runs a process of the hub so that it dies at a named place, hurries, or has a wrong clock.

`python -m tests.faults.crashing web` is `hub web` with functions replaced in that process, so the
product itself has no such places: no setting can make it crash. It reads

CRASH_AT   the place, a key of `PLACES`; the first process that reaches it dies there, once
POISON     a key of `HARMS`: the effect of each call whose parameters contain the word
HURRY      leases, renewals, sweeps, wake-ups, look-ups and patience at a fraction of their times
CLOCK      a file with the offset of this process's clock in seconds; read at each use
"""

import os
import sys
import time
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any

from tests.faults.places import PLACES
from tests.faults.poison import arm


def hurry() -> None:
    """Shorten the times that a test would otherwise wait for."""
    from hub.clock import clock
    from hub.core.delivery import lanes, reconcile, transitions
    from hub.core.hub import Hub
    from hub.gateways import redis_queue
    from hub.worker import context, drain, lane, watchdog

    times: tuple[tuple[Any, str, Any], ...] = (
        (lanes, "LEASE_S", 3.0),
        (lane, "STALE_S", 2.0),
        (lane, "MARGIN_S", 2.0),
        (watchdog, "LONGEST_S", 5.0),
        (drain, "RENEW_EVERY_S", 0.5),
        (clock, "EVERY_S", 1.0),
        (context, "TASKS_EVERY_S", 1.0),
        (redis_queue, "WAKE_TTL_MS", 1000),
        (reconcile, "SETTLE_S", 4.0),
        (reconcile, "LOOK_AGAIN_S", 1.0),
        (transitions, "LOOK_AGAIN_S", 1.0),
        (Hub, "ask_after_s", lambda *_: 8.0),
    )
    for module, name, value in times:
        getattr(module, name)  # fails if the name has moved
        setattr(module, name, value)


class _AnyDatetime(type):
    """Metaclass whose instances are plain datetimes, the only ones that orjson serializes."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        return datetime(*args, **kwargs)  # noqa: DTZ001 - it is as aware as it is asked to be

    def __getattr__(cls, name: str) -> Any:
        return getattr(datetime, name)

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, datetime)


def err_about_the_time(file: Path) -> None:
    """Shift the current time of the hub's own modules; the database has a clock of its own."""
    import hub.app
    import hub.bootstrap
    import hub.server  # noqa: F401 - loaded here, so that its names can be replaced

    class Shifted(metaclass=_AnyDatetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:
            shift_s = float(file.read_text() or 0) if file.exists() else 0.0
            return datetime.fromtimestamp(time.time() + shift_s, tz)

    for name, module in list(sys.modules.items()):
        ours = name.partition(".")[0] in ("hub", "adapters")
        if ours and getattr(module, "datetime", None) is datetime:
            module.datetime = Shifted  # type: ignore[attr-defined]


def main() -> None:
    if place := os.environ.get("CRASH_AT"):
        PLACES[place](place)
    if harm := os.environ.get("POISON"):
        arm(harm)
    if os.environ.get("HURRY"):
        hurry()
    if clock := os.environ.get("CLOCK"):
        err_about_the_time(Path(clock))
    from hub.cli import main as hub_main

    hub_main(sys.argv[1:])


if __name__ == "__main__":
    main()
