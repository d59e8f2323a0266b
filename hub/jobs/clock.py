"""The clock: every few seconds a sweep, every hour a look for what never arrived.

A second clock is harmless.
"""

import logging
import signal
from collections.abc import Mapping
from datetime import UTC, datetime
from threading import Event
from types import FrameType

from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy.exc import DBAPIError

from hub.core.beats import CLOCK, beat
from hub.core.board.indexing import index_some
from hub.core.completing import Round, fetch_the_incomplete
from hub.core.doubts import ask_people, close_the_seen
from hub.core.folding import fold_some
from hub.core.hub import Hub
from hub.core.leads.caps import end_passed
from hub.core.leads.counting import forget
from hub.core.leads.escalation import escalate
from hub.core.restored import end_alert
from hub.core.silence import tell_of_silence
from hub.core.sweep import sweep
from hub.gateways.destinations import Gate
from hub.gateways.queue import enqueue_drain
from hub.jobs.hours import Hours
from hub.jobs.listings import Listings
from hub.jobs.lookups import Lookups
from hub.jobs.replays import Replays
from hub.jobs.restoring import watch

EVERY_S = 5.0
FOLDS, FOLD_AT_ONCE = 10, 100
INDEXES, INDEX_AT_ONCE = 10, 200
FETCHES = 200
ESCALATES = 100

log = logging.getLogger(__name__)


def run(hub: Hub, redis: Redis, gates: Mapping[str, Gate]) -> None:
    """Sweep until SIGTERM or SIGINT, whatever is gone meanwhile."""
    stop = Event()

    def on_signal(number: int, frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    troubles: set[str] = set()
    listings, lookups, hours = Listings(hub), Lookups(hub, gates), Hours(hub)
    replays, round_ = Replays(hub), Round()
    while True:
        _note(troubles, tick(hub, redis, round_))
        listings.look()
        lookups.look()
        hours.look()
        replays.look()
        if stop.wait(EVERY_S):
            return


def tick(hub: Hub, redis: Redis, round_: Round | None = None) -> set[str]:
    """Sweep once; return what is gone."""
    troubles: set[str] = set()
    try:
        watch(hub, redis)
        with hub.store.write() as connection:
            sweep(connection, hub.configuration)
            now = datetime.now(UTC)
            fetch_the_incomplete(connection, hub, most=FETCHES, now=now, round_=round_)
            close_the_seen(connection, now=now)
        with hub.store.write() as connection:
            ask_people(connection, hub, now=now)
            tell_of_silence(connection, hub.configuration, now=now)
            beat(connection, CLOCK)
            end_alert(connection, now=now)
        with hub.store.write() as connection:
            escalate(connection, hub, most=ESCALATES, now=now)
            end_passed(connection, now=now)
            forget(connection, now=now)
        _fold(hub)
        _index(hub)
    except DBAPIError as error:
        troubles.add(f"the database does not answer ({type(error.orig).__name__})")
    try:
        enqueue_drain(redis)
    except RedisError as error:
        troubles.add(f"Redis does not answer ({type(error).__name__})")
    return troubles


def _fold(hub: Hub) -> None:
    """Fold what the workers, being busy, have not: some, so that the next sweep is in time."""
    for _ in range(FOLDS):
        with hub.store.write() as connection:
            if not fold_some(connection, hub, most=FOLD_AT_ONCE, now=datetime.now(UTC)):
                return


def _index(hub: Hub) -> None:
    """Index some of the events that cannot be searched for yet: those from before there was one."""
    for _ in range(INDEXES):
        with hub.store.write() as connection:
            if index_some(connection, most=INDEX_AT_ONCE) < INDEX_AT_ONCE:
                return


def _note(known: set[str], now: set[str]) -> None:
    """Log what is new and what is over, not what goes on."""
    for trouble in sorted(now - known):
        log.error("%s", trouble)
    for trouble in sorted(known - now):
        log.info("over: %s", trouble)
    known.clear()
    known.update(now)
