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

from hub.core.completing import fetch_the_incomplete
from hub.core.doubts import ask_people, close_the_seen
from hub.core.folding import fold_some
from hub.core.hub import Hub
from hub.core.sweep import sweep
from hub.gateways.destinations import Gate
from hub.gateways.queue import enqueue_drain
from hub.jobs.listings import Listings
from hub.jobs.lookups import Lookups

EVERY_S = 5.0
FOLDS, FOLD_AT_ONCE = 10, 100
FETCHES = 200

log = logging.getLogger(__name__)


def run(hub: Hub, redis: Redis, gates: Mapping[str, Gate]) -> None:
    """Sweep until SIGTERM or SIGINT, whatever is gone meanwhile."""
    stop = Event()

    def on_signal(number: int, frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    troubles: set[str] = set()
    listings, lookups = Listings(hub), Lookups(hub, gates)
    while True:
        _note(troubles, tick(hub, redis))
        listings.look()
        lookups.look()
        if stop.wait(EVERY_S):
            return


def tick(hub: Hub, redis: Redis) -> set[str]:
    """Sweep once; return what is gone."""
    troubles: set[str] = set()
    try:
        with hub.store.write() as connection:
            sweep(connection, hub.configuration)
            now = datetime.now(UTC)
            fetch_the_incomplete(connection, hub, most=FETCHES, now=now)
            close_the_seen(connection, now=now)
        with hub.store.write() as connection:
            ask_people(connection, hub, now=now)
        _fold(hub)
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


def _note(known: set[str], now: set[str]) -> None:
    """Log what is new and what is over, not what goes on."""
    for trouble in sorted(now - known):
        log.error("%s", trouble)
    for trouble in sorted(known - now):
        log.info("over: %s", trouble)
    known.clear()
    known.update(now)
