"""Crash places: points where a process of the hub can be made to die, by a replaced function."""

import os
from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import Any

EXIT_CODE = 137


def die_once(place: str) -> None:
    """Exit this process as a kill would, unless one has died here before."""
    try:
        os.close(os.open(f"died-at-{place}", os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return
    os._exit(EXIT_CODE)


def _before(owner: Any, name: str, place: str) -> None:
    """Die when a function is called, before it runs."""
    original = getattr(owner, name)

    def replaced(*args: Any, **kwargs: Any) -> Any:
        die_once(place)
        return original(*args, **kwargs)

    setattr(owner, name, replaced)


def _after(owner: Any, name: str, place: str) -> None:
    """Die after a function has run, before it returns to its caller."""
    original = getattr(owner, name)

    def replaced(*args: Any, **kwargs: Any) -> Any:
        result = original(*args, **kwargs)
        die_once(place)
        return result

    setattr(owner, name, replaced)


def _web_before_commit(place: str) -> None:
    """Die before a PostgreSQL statement that commits, or between write and COMMIT of SQLite."""
    from hub.core.inbound import insert, insert_postgresql
    from hub.gateways.database.loop_connection import LoopConnection

    _before(insert_postgresql, "insert_new", place)
    _before(LoopConnection, "execute", place)
    insert_batches = insert.insert_batches

    def store(connection: Any, batches: Any) -> Any:
        stored = insert_batches(connection, batches)
        die_once(place)
        return stored

    insert.insert_batches = store


def _web_after_commit(place: str) -> None:
    """Die when a write of webhooks has committed, and none of them is answered."""
    from hub.web import batch_writer
    from hub.web.intake import Intake

    _after(Intake, "store", place)
    _after(batch_writer, "result_if_new", place)


def _web_after_commit_before_enqueue(place: str) -> None:
    """Die when the answer is sent and the wake-up is not."""
    from hub.asgi import HubServer
    from hub.gateways.redis_queue import WakeUpQueues

    enqueue = WakeUpQueues.wake

    def never(*args: Any) -> Any:
        if not Path(f"died-at-{place}").exists():
            Event().wait()
        return enqueue(*args)

    original = HubServer.__call__

    async def call(self: Any, scope: Any, receive: Any, send: Any) -> None:
        await original(self, scope, receive, send)
        if scope["type"] == "http" and scope["method"] == "POST":
            die_once(place)

    WakeUpQueues.wake = never  # type: ignore[method-assign]
    HubServer.__call__ = call  # type: ignore[method-assign]


def _worker_after_claim(place: str) -> None:
    """Die when the attempt is committed and no byte of the call is sent."""
    from hub.worker import batch

    _before(batch, "perform", place)


def _worker_in_call(place: str) -> None:
    """Die when the request is sent and its answer is not read."""
    from hub.gateways.http import connection

    _before(connection._Response, "begin", place)


def _worker_after_call(place: str) -> None:
    from hub.worker.drain import Drain

    _before(Drain, "_on_result", place)


def _worker_after_record(place: str) -> None:
    """Die when the outcome is committed and the lane is still held."""
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
    """Die when the attempt is written and not committed: there is no claim."""
    from hub.core.pipeline import pipeline_of
    from hub.worker import batch

    original = batch.claim

    def claim(*args: Any, **kwargs: Any) -> Any:
        result = original(*args, **kwargs)
        if result[0]:
            pipeline_of(args[0]).send()
            die_once(place)
        return result

    batch.claim = claim


def _worker_before_record(place: str) -> None:
    """Die when the answer is judged and no outcome is written."""
    _where_something_ended("_record", place, before=True)


def _worker_in_record(place: str) -> None:
    """Die when the outcome is written and not committed."""
    _where_something_ended("_record", place, before=False)


def _where_something_ended(name: str, place: str, *, before: bool) -> None:
    from hub.core.pipeline import pipeline_of
    from hub.worker.batch import LaneBatch

    original = getattr(LaneBatch, name)

    def replaced(self: Any, connection: Any, lane: Any) -> Any:
        if lane.finished and before:
            die_once(place)
        result = original(self, connection, lane)
        if lane.finished:
            pipeline_of(connection).send()
            die_once(place)
        return result

    setattr(LaneBatch, name, replaced)


def _worker_in_take_over(place: str) -> None:
    """Die when the attempts of the previous holder are settled and not committed."""
    from hub.worker import leases

    original = leases.record

    def record(connection: Any, finished: Any) -> Any:
        result = original(connection, finished)
        if finished:
            die_once(place)
        return result

    leases.record = record


def _clock_before_look_up_record(place: str) -> None:
    """Die when the provider has answered a look-up and nothing is written."""
    from hub.worker import reconcile

    _before(reconcile, "record_lookup", place)


def _clock_in_look_up_record(place: str) -> None:
    from hub.worker import reconcile

    _after(reconcile, "record_lookup", place)


def _clock_after_look_up_record(place: str) -> None:
    """Die when a look-up is committed and perhaps no worker was woken."""
    from hub.worker import reconcile

    _after(reconcile, "look_up_some", place)


def _clock_in_fold(place: str) -> None:
    """Die when a callback has closed a doubt and is not committed."""
    from hub.core.events import projections

    _after(projections, "apply_status_callback", place)


def _clock_after_fold(place: str) -> None:
    from hub.clock.projections import ProjectionBackup

    _after(ProjectionBackup, "fold", place)


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
