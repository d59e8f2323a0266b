"""The places where a process of the hub can be made to die, each by a function replaced in it."""

import os
from collections.abc import Callable
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
    from hub.core.inbound import insert
    from hub.web import receiver
    from hub.web.express import FastPath

    original, insert_new = insert.insert_batch, receiver.insert_new

    def store(connection: Any, batch: Any) -> Any:
        stored = original(connection, batch)
        die_once(place)
        return stored

    def insert_grouped(connection: Any, batches: Any) -> Any:
        die_once(place)
        return insert_new(connection, batches)

    insert.insert_batch, receiver.insert_new = store, insert_grouped
    _before(FastPath, "send", place)


def _web_after_commit(place: str) -> None:
    from hub.web import webhooks
    from hub.web.express import FastPath

    _after(webhooks, "store_request", place)
    _after(FastPath, "note", place)


def _web_after_commit_before_enqueue(place: str) -> None:
    """The answer is out and the wake-up is not."""
    from gunicorn.workers.gthread import ThreadWorker

    from hub.gateways import redis_queue
    from hub.web.server.express import ExpressWorker

    enqueue = redis_queue.enqueue_drain

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

    _after(ExpressWorker, "_answer", place)
    redis_queue.enqueue_drain = never
    ThreadWorker.handle_request = handle_request


def _worker_after_claim(place: str) -> None:
    """The attempt is committed and not a byte has left."""
    from hub.worker import batch

    _before(batch, "perform", place)


def _worker_in_call(place: str) -> None:
    """The request is on its way and its answer has not been read."""
    from hub.gateways.http import connection

    _before(connection._Response, "begin", place)


def _worker_after_call(place: str) -> None:
    from hub.worker.drain import Drain

    _before(Drain, "_on_result", place)


def _worker_after_record(place: str) -> None:
    """What ended is committed, and the lane is still held."""
    from hub.worker.batch import LaneBatch

    original = LaneBatch._log

    def log(self: Any, lane: Any, late: int) -> None:
        if lane.finished:
            die_once(place)
        original(self, lane, late)

    LaneBatch._log = log  # type: ignore[method-assign]


def _worker_before_release(place: str) -> None:
    from hub.core.delivery import lanes

    _before(lanes, "release", place)


def _worker_before_claim_commit(place: str) -> None:
    """The attempt is written and not committed: nothing was ever claimed."""
    from hub.worker import batch

    original = batch.claim

    def claim(*args: Any, **kwargs: Any) -> Any:
        result = original(*args, **kwargs)
        if result[0]:
            die_once(place)
        return result

    batch.claim = claim


def _worker_before_record(place: str) -> None:
    """The answer has been judged, and no word of it is written."""
    _where_something_ended("_record", place, before=True)


def _worker_in_record(place: str) -> None:
    """What ended is written and not committed."""
    _where_something_ended("_record", place, before=False)


def _where_something_ended(name: str, place: str, *, before: bool) -> None:
    from hub.worker.batch import LaneBatch

    original = getattr(LaneBatch, name)

    def replaced(self: Any, connection: Any, lane: Any) -> Any:
        if lane.finished and before:
            die_once(place)
        result = original(self, connection, lane)
        if lane.finished:
            die_once(place)
        return result

    setattr(LaneBatch, name, replaced)


def _worker_in_take_over(place: str) -> None:
    """What the holder before left open is settled in words, and not committed."""
    from hub.worker import leases

    original = leases.record

    def record(connection: Any, finished: Any) -> Any:
        result = original(connection, finished)
        if finished:
            die_once(place)
        return result

    leases.record = record


def _clock_before_look_up_record(place: str) -> None:
    """The provider has been asked, and its word is not written."""
    from hub.clock import reconcile

    _before(reconcile, "record_lookup", place)


def _clock_in_look_up_record(place: str) -> None:
    from hub.clock import reconcile

    _after(reconcile, "record_lookup", place)


def _clock_after_look_up_record(place: str) -> None:
    """What was seen is committed, and perhaps nobody was woken."""
    from hub.clock import reconcile

    _after(reconcile, "look_up_some", place)


def _clock_in_fold(place: str) -> None:
    """The provider's own news has closed a doubt, and is not committed."""
    from hub.core.events import projections

    _after(projections, "apply_status_callback", place)


def _clock_after_fold(place: str) -> None:
    from hub.clock import clock

    _after(clock, "_fold", place)


def _clock_in_close_the_seen(place: str) -> None:
    from hub.clock import clock

    _after(clock, "close_confirmed", place)


PLACES: dict[str, Callable[[str], None]] = {
    "web.before_commit": _web_before_commit,
    "web.after_commit": _web_after_commit,
    "web.after_commit_before_enqueue": _web_after_commit_before_enqueue,
    "worker.before_claim_commit": _worker_before_claim_commit,
    "worker.after_claim": _worker_after_claim,
    "worker.in_call": _worker_in_call,
    "worker.after_call": _worker_after_call,
    "worker.before_record": _worker_before_record,
    "worker.in_record": _worker_in_record,
    "worker.after_record": _worker_after_record,
    "worker.before_release": _worker_before_release,
    "worker.in_take_over": _worker_in_take_over,
    "clock.before_look_up_record": _clock_before_look_up_record,
    "clock.in_look_up_record": _clock_in_look_up_record,
    "clock.after_look_up_record": _clock_after_look_up_record,
    "clock.in_fold": _clock_in_fold,
    "clock.after_fold": _clock_after_fold,
    "clock.in_close_the_seen": _clock_in_close_the_seen,
}
