"""Runs a process of the hub so that it dies at a named place, hurries, or errs about the time.

`python -m tests.faults.crashing web` is `hub web` with functions replaced in that process, so the
product itself has no such places: no setting can make it crash. It reads

CRASH_AT   the place, a key of `PLACES`; it dies there once, in whatever process comes by first
HURRY      leases, renewals, sweeps and wake-ups at a fraction of their times
CLOCK      a file with the seconds by which this process's clock is wrong; read at each look
"""

import os
import sys
import time
from collections.abc import Callable
from datetime import datetime, tzinfo
from pathlib import Path
from threading import Event
from typing import Any

EXIT_CODE = 137


def die_once(place: str) -> None:
    """End this process as a kill would, unless one has died here before."""
    try:
        os.close(os.open(f"died-at-{place}", os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return
    os._exit(EXIT_CODE)


def _before(owner: Any, name: str, place: str) -> None:
    """Die when a function is called, before it does anything."""
    original = getattr(owner, name)

    def replaced(*args: Any, **kwargs: Any) -> Any:
        die_once(place)
        return original(*args, **kwargs)

    setattr(owner, name, replaced)


def _after(owner: Any, name: str, place: str) -> None:
    """Die when a function has done its work, before anybody hears of it."""
    original = getattr(owner, name)

    def replaced(*args: Any, **kwargs: Any) -> Any:
        result = original(*args, **kwargs)
        die_once(place)
        return result

    setattr(owner, name, replaced)


def _web_before_commit(place: str) -> None:
    """PostgreSQL commits with its statement: die before it. SQLite: between write and COMMIT."""
    from hub.core import ingest_store

    original = ingest_store.store

    def store(connection: Any, batch: Any) -> Any:
        if connection.dialect.name == "postgresql":
            die_once(place)
        stored = original(connection, batch)
        die_once(place)
        return stored

    ingest_store.store = store


def _web_after_commit(place: str) -> None:
    from hub.web import webhooks

    _after(webhooks, "_store", place)


def _web_after_commit_before_enqueue(place: str) -> None:
    """The answer is out and the wake-up is not."""
    from gunicorn.workers.gthread import ThreadWorker

    from hub.gateways import queue

    enqueue = queue.enqueue_drain

    def never(*args: Any) -> bool:
        if not Path(f"died-at-{place}").exists():
            Event().wait()
        return enqueue(*args)

    original = ThreadWorker.handle_request

    def handle_request(self: Any, request: Any, *args: Any) -> Any:
        result = original(self, request, *args)
        if request.method == "POST":
            die_once(place)
        return result

    queue.enqueue_drain = never
    ThreadWorker.handle_request = handle_request


def _worker_after_claim(place: str) -> None:
    """The attempt is committed and not a byte has left."""
    from hub.jobs import drain

    _before(drain, "perform", place)


def _worker_in_call(place: str) -> None:
    """The request is on its way and its answer has not been read."""
    from hub.gateways import connection

    _before(connection._Response, "begin", place)


def _worker_after_call(place: str) -> None:
    from hub.jobs.drain import Drain

    _before(Drain, "_take_end", place)


def _worker_after_record(place: str) -> None:
    """What ended is committed, and the lane is still held."""
    from hub.jobs.drain import Drain

    original = Drain._log

    def log(self: Any, lane: Any, late: int) -> None:
        if lane.finished:
            die_once(place)
        original(self, lane, late)

    Drain._log = log  # type: ignore[method-assign]


def _worker_before_release(place: str) -> None:
    from hub.core import lanes

    _before(lanes, "release", place)


PLACES: dict[str, Callable[[str], None]] = {
    "web.before_commit": _web_before_commit,
    "web.after_commit": _web_after_commit,
    "web.after_commit_before_enqueue": _web_after_commit_before_enqueue,
    "worker.after_claim": _worker_after_claim,
    "worker.in_call": _worker_in_call,
    "worker.after_call": _worker_after_call,
    "worker.after_record": _worker_after_record,
    "worker.before_release": _worker_before_release,
}


def hurry() -> None:
    """Shorten the times that a test would otherwise sit through."""
    from hub.core import lanes
    from hub.gateways import queue
    from hub.jobs import clock, drain, lane

    times: tuple[tuple[Any, str, float], ...] = (
        (lanes, "LEASE_S", 3.0),
        (lane, "STALE_S", 2.0),
        (drain, "RENEW_EVERY_S", 0.5),
        (clock, "EVERY_S", 1.0),
        (queue, "WAKE_TTL_MS", 1000),
    )
    for module, name, value in times:
        getattr(module, name)  # it may have moved
        setattr(module, name, value)


class _AnyDatetime(type):
    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, datetime)


def err_about_the_time(file: Path) -> None:
    """Shift what the hub's own modules see as now; the database has a clock of its own."""
    import hub.app  # noqa: F401 - loaded here, so that its names can be replaced

    class Shifted(datetime, metaclass=_AnyDatetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:
            shift_s = float(file.read_text() or 0) if file.exists() else 0.0
            return datetime.fromtimestamp(time.time() + shift_s, tz)

    for name, module in list(sys.modules.items()):
        ours = name.partition(".")[0] in ("hub", "adapters")
        if ours and getattr(module, "datetime", None) is datetime:
            module.datetime = Shifted  # type: ignore[attr-defined]


def _serve_in_this_process(_: str, arguments: list[str]) -> None:
    """Stand in for the `exec` of the web server, which would lose what was replaced."""
    from gunicorn.app.wsgiapp import run

    sys.argv = arguments[2:]
    run()


def main() -> None:
    if place := os.environ.get("CRASH_AT"):
        PLACES[place](place)
    if os.environ.get("HURRY"):
        hurry()
    if clock := os.environ.get("CLOCK"):
        err_about_the_time(Path(clock))
    os.execv = _serve_in_this_process  # type: ignore[assignment]
    from hub.cli import main as hub_main

    hub_main(sys.argv[1:])


if __name__ == "__main__":
    main()
