"""Composition of the worker and of the clock, and their start.

What one of the two alone needs is imported where it begins: the command line imports this module.
"""

import logging
from collections.abc import Collection, Mapping
from functools import partial
from threading import Event
from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError

from hub.bootstrap import create_hub, identity_cache, prepare_store, warn_of_files
from hub.core.configuration import Configuration
from hub.core.database_errors import DatabaseErrorKind, classify
from hub.core.errors import ConfigError
from hub.core.hub import Hub
from hub.core.identity import Identity
from hub.core.ports import EVENTS
from hub.gateways.database.migrations import revisions
from hub.gateways.database.wait import NotReady, wait_until_ready
from hub.gateways.identity import start_identity
from hub.gateways.redis_queue import RedisNames, WakeUpQueues, connect
from hub.process.priority import give_way
from hub.process.signals import when_told_to_end
from hub.settings import Settings

if TYPE_CHECKING:
    from hub.gateways.destination_client import DestinationClient
    from hub.worker.context import WorkerContext

log = logging.getLogger(__name__)


def run_worker(settings: Settings, environ: Mapping[str, str], names: Collection[str] = ()) -> None:
    """Run a worker until it is signalled to stop; first wait for the database, without a limit.

    `names`: the destinations that it serves, and `events`; none means all.

    Raises:
        ConfigError: `hub.yaml` has errors (all of them are listed), it does not have these
            destinations, or the database is a copy.
    """
    from hub.worker import rq_worker as workers

    warn_of_files(settings)
    stop = Event()
    on_signal = when_told_to_end(stop.set)
    hub = create_hub(settings, environ)
    _check_served(hub.configuration, names)
    in_redis = _wait_for_names(settings, hub, stop)
    if in_redis is not None:
        give_way()  # not before: on a busy machine a start would take too long
        workers.run(create_worker_context(settings, hub, in_redis, stop, names), on_signal)


def _check_served(configuration: Configuration, names: Collection[str]) -> None:
    enabled = [one.slug for one in configuration.destinations.values() if one.enabled]
    known = [*enabled, EVENTS]
    faults = [
        f"there is no destination {name} that is enabled; a worker can serve {', '.join(known)}"
        for name in names
        if name not in known
    ]
    if faults:
        raise ConfigError(faults)


def run_clock(settings: Settings, environ: Mapping[str, str]) -> None:
    """Run the clock until it is signalled to stop; first wait for the database, without a limit.

    Raises:
        ConfigError: `hub.yaml` has errors (all of them are listed), or the database is a copy.
    """
    from hub.clock import clock as clocks

    warn_of_files(settings)
    stop = Event()
    when_told_to_end(stop.set)
    hub = create_hub(settings, environ)
    names = _wait_for_names(settings, hub, stop)
    if names is not None:
        redis = connect(settings.redis_url)
        clocks.run(hub, redis, WakeUpQueues(redis, names), stop)


def _wait_for_names(settings: Settings, hub: Hub, stop: Event) -> RedisNames | None:
    """Wait for the database and prepare it; return the hub's names, None if `stop` comes first.

    Raises:
        ConfigError: as `start_identity`.
    """
    identity = wait_until_ready(partial(_prepare, settings, hub), stop)
    return RedisNames(hub.configuration.site.name, identity.hub_id) if identity else None


def _prepare(settings: Settings, hub: Hub) -> Identity:
    """Prepare the store; return the identity with which the process starts.

    Raises:
        NotReady: it does not answer, is too busy to be written to, or lacks a migration.
        ConfigError: as `start_identity`.
    """
    try:
        identity = start_identity(hub.store, identity_cache(settings), settings.public_url)
        prepare_store(hub)
    except DBAPIError as error:
        why = _migration_needed(hub)
        if why is None and classify(error) is DatabaseErrorKind.REJECTED_ROW:
            raise
        raise NotReady(why or type(error.orig).__name__) from error
    return identity


def _migration_needed(hub: Hub) -> str | None:
    """Return a sentence about the missing migration; None if the schema is up to date."""
    try:
        with hub.store.read() as connection:
            current, newest = revisions(connection)
    except DBAPIError:
        return None
    if current == newest:
        return None
    return f"its tables are at {current or 'nothing'}, not {newest}: run `hub db upgrade`"


def create_clients(
    settings: Settings, hub: Hub, names: Collection[str]
) -> "dict[str, DestinationClient]":
    from hub.gateways.destination_client import DestinationClient

    return {
        destination.slug: DestinationClient(
            destination,
            allow_private=settings.allow_private_destinations,
            public_url=settings.public_url,
        )
        for destination in hub.configuration.destinations.values()
        if destination.enabled and (not names or destination.slug in names)
    }


def create_worker_context(
    settings: Settings, hub: Hub, in_redis: RedisNames, stop: Event, names: Collection[str] = ()
) -> "WorkerContext":
    from hub.worker.backfill import BackfillTask
    from hub.worker.context import WorkerContext
    from hub.worker.projector import Projector
    from hub.worker.reconcile import ReconcileTask

    clients, with_events = create_clients(settings, hub, names), not names or EVENTS in names
    lookups = ReconcileTask(hub, clients)
    return WorkerContext(
        hub=hub,
        clients=clients,
        redis=connect(settings.redis_url),
        redis_url=settings.redis_url,
        names=in_redis,
        with_events=with_events,
        tasks=[lookups, BackfillTask(hub)] if with_events else [lookups],
        projector=Projector(hub, stop) if with_events else None,
        stop=stop,
    )
