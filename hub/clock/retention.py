"""Retention task: deletes what is too old beside the sweep, in short steps with long pauses."""

import logging
import time
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, func, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnection

from hub.core.advisory_locks import held_session_lock
from hub.core.database_errors import DatabaseErrorKind, classify
from hub.core.errors import HubError
from hub.core.hub import Hub
from hub.core.ids import first_id
from hub.core.models import StoredRequest
from hub.core.pipeline import pipeline_of
from hub.core.retention.schedule import deletions
from hub.core.retention.walk import Delete, Step, Walk
from hub.process.background_task import BackgroundTask

# How often a turn begins at most, and how long it lasts.
EVERY_S = 15.0
TURN_S = 10.0
# A pause is so many times as long as the step before it: the fewest when nothing comes in, and the
# most from so many requests a second on, since webhooks and calls come first.
FEWEST, MOST = 2.0, 14.0
PRESSED_PER_S = 800
# For how long requests are counted, and how often.
LOOKS_BACK_S = 2.0
LOOKS_EVERY_S = 1.0
# A walk that found little to delete rests for so many times as long as it took.
RESTS = 20
# How long a step waits for somebody else's lock, with its own locks held.
LOCK_TIMEOUT_MS = 40
LOCK = "retention"
# Turns in a row, each of ten seconds or more, in which no step of a kind succeeds: people are told.
MOST_IN_VAIN = 200
# By how much this machine's clock and the database's may differ: a wrong one would delete it all.
MOST_OFF = timedelta(hours=1)

_GENTLE = select(
    func.set_config("lock_timeout", str(LOCK_TIMEOUT_MS), True),
    func.set_config("synchronous_commit", "off", True),
)

log = logging.getLogger(__name__)


class RowsStay(HubError):
    """The database refuses to delete rows that are too old; the message says of which kind."""


class StepsInVain(HubError):
    """No step of a kind succeeds, turn after turn: it meets locks, or takes too long."""


class ClockOff(HubError):
    """This machine's clock and the database's differ: it is not known how old rows are."""


class RetentionTask(BackgroundTask):
    """Background task that deletes rows of each kind in turn, a step of one after another's.

    Of several clocks one deletes at a time. Nothing is remembered but in memory: after a restart
    every walk begins anew.
    """

    name = "retention"

    def __init__(self, hub: Hub, *, pauses: float | None = None) -> None:
        """Delete in a hub's database; `pauses`: lengths of a step, whatever comes in."""
        self._hub = hub
        self._fixed = pauses
        self._pauses, self._looks_at_s = MOST, 0.0
        self._walks: dict[str, Walk] = {}
        self._rests_until_s: dict[str, float] = {}
        self._spent_s: dict[str, float] = {}
        # Turns in which no step of a kind succeeded, up to now, by the kinds that are due.
        self._in_vain: dict[str, int] = {}
        self._next_s = 0.0
        self._failure: Exception | None = None
        self._begun: Exception | None = None
        self.longest_s = 0.0
        # Whether this clock is the one that deletes; only it knows what fails.
        self.is_mine = False

    def run_once(self) -> None:
        if time.monotonic() < self._next_s:
            return
        self._next_s = time.monotonic() + EVERY_S
        try:
            with self._hub.store.read() as guard, held_session_lock(guard, LOCK) as is_mine:
                self.is_mine = is_mine
                if is_mine:
                    self._begun = None
                    has_more = self._knows_the_time(guard) and self._turn()
                    self._failure = self._failure_of_turn()
                    if has_more:
                        self._next_s = 0.0
                else:
                    self._failure, self._in_vain = None, {}
        except (DBAPIError, NoConnection) as error:
            log.error("retention waits: the database (%s)", type(error).__name__)
            self._failure = self._failure_of_turn() or self._failure
        except Exception as error:  # noqa: BLE001 - the last resort: the clock tells of it
            self._failure = error

    def raise_failure(self) -> None:
        """Raise what the last turn failed with, for the clock to tell of it.

        Raises:
            Exception: whatever it was.
        """
        if self._failure is not None:
            raise self._failure

    def _turn(self) -> bool:
        """Make steps until all walks rest, or the turn is over; return whether there is more."""
        begin_s, self.longest_s = time.monotonic(), 0.0
        left = self._due(begin_s)
        self._in_vain = {kind: self._in_vain.get(kind, 0) + 1 for kind in left}
        while left and time.monotonic() < begin_s + TURN_S:
            for kind in list(left):
                if self._step(kind, left[kind]):
                    del left[kind]
        self._log(time.monotonic() - begin_s)
        return bool(left)

    def _failure_of_turn(self) -> Exception | None:
        """Return what is to be told of a turn: an error of it, or kinds that wait for too long."""
        kinds = ", ".join(kind for kind, n in self._in_vain.items() if n >= MOST_IN_VAIN)
        if self._begun or not kinds:
            return self._begun
        if not isinstance(self._failure, StepsInVain):
            log.error(
                "no step of %s has succeeded in %d turns: the lines before say what it waits for; "
                "look for transactions that stay open, or for a database that is too slow",
                kinds, MOST_IN_VAIN,
            )  # fmt: skip
        return StepsInVain(kinds)

    def _knows_the_time(self, connection: Connection) -> bool:
        """Return whether this machine's clock may decide what is old; note if it may not."""
        if self._hub.store.dialect == "sqlite":
            return True  # SQLite has this machine's clock
        told: datetime = connection.execute(select(func.clock_timestamp())).scalar_one()
        if abs(told - datetime.now(UTC)) <= MOST_OFF:
            return True
        self._begun = ClockOff("the clocks of this machine and of the database differ")
        log.error(
            "nothing is deleted: the clocks of this machine and of the database differ by more "
            "than an hour; set them by NTP"
        )
        return False

    def _due(self, now_s: float) -> dict[str, Delete]:
        found = deletions(self._hub.configuration, now=datetime.now(UTC))
        return {
            kind: delete
            for kind, delete in found.items()
            if self._rests_until_s.get(kind, 0.0) <= now_s
        }

    def _step(self, kind: str, delete: Delete) -> bool:
        """Make one step of a walk, and pause; return whether the walk rests from now on."""
        walk = self._walks.setdefault(kind, Walk(kind))
        begin_s = time.monotonic()
        try:
            step, took_s = self._delete(walk, delete)
        except DBAPIError as error:
            kind_of_error = classify(error)
            if kind_of_error is DatabaseErrorKind.UNAVAILABLE:
                raise
            if kind_of_error is DatabaseErrorKind.REJECTED_ROW:
                self._begun = RowsStay(f"{kind}: {type(error.orig).__name__}")
            log.warning("retention of %s: a step must wait (%s)", kind, type(error.orig).__name__)
            walk.shrink()
            return True
        self._in_vain.pop(kind, None)
        self.longest_s = max(self.longest_s, took_s)
        self._spent_s[kind] = self._spent_s.get(kind, 0.0) + time.monotonic() - begin_s
        ends = walk.take_step(step, took_s)
        if ends:
            self._rests_until_s[kind] = time.monotonic() + RESTS * self._spent_s.pop(kind)
        time.sleep(self._pause() * took_s)
        return ends

    def _pause(self) -> float:
        """Return the length of the next pause, in lengths of its step, by what came in lately."""
        if self._fixed is not None:
            return self._fixed
        if time.monotonic() >= self._looks_at_s:
            with self._hub.store.read() as connection:
                per_s = _arrived_per_s(connection)
            self._pauses = FEWEST + (MOST - FEWEST) * min(1.0, per_s / PRESSED_PER_S)
            self._looks_at_s = time.monotonic() + LOOKS_EVERY_S
        return self._pauses

    def _delete(self, walk: Walk, delete: Delete) -> tuple[Step, float]:
        """Return a step, and the seconds for which its transaction was open."""
        most = self._hub.store.step(walk.most)
        with self._open() as connection:
            begin_s = time.monotonic()
            be_gentle(connection)
            step = delete(connection, walk.after, most)
        return step, time.monotonic() - begin_s

    def _open(self) -> AbstractContextManager[Connection]:
        """Open a transaction: one that lets others write first, or that needs few round trips."""
        store = self._hub.store
        return store.write(bulk=True) if store.dialect == "sqlite" else store.write_pipelined()

    def _log(self, took_s: float) -> None:
        counts = {kind: walk.take_count() for kind, walk in self._walks.items()}
        said = ", ".join(f"{count} {kind}" for kind, count in counts.items() if count)
        if said:
            longest_ms = self.longest_s * 1000
            log.info("deleted %s in %.1f s; longest step %.0f ms", said, took_s, longest_ms)


def _arrived_per_s(connection: Connection) -> float:
    """Return how many requests a second were stored lately, counted up to `PRESSED_PER_S`."""
    since = datetime.now(UTC) - timedelta(seconds=LOOKS_BACK_S)
    recent = (
        select(StoredRequest.id)
        .where(StoredRequest.id > first_id(since))
        .limit(int(PRESSED_PER_S * LOOKS_BACK_S))
    )
    n: int = connection.execute(select(func.count()).select_from(recent.subquery())).scalar_one()
    return n / LOOKS_BACK_S


def be_gentle(connection: Connection) -> None:
    """Let a transaction give way: it waits little for locks, and not for the disk.

    A deletion that a crash loses is made again.
    """
    if connection.dialect.name == "postgresql":
        pipeline_of(connection).add(_GENTLE, {})
