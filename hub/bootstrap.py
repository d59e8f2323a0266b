"""Composition root of the processes without a web layer: workers, the clock and commands.

It never imports `hub.web`, which would only cost memory in these processes; and what a worker or
the clock alone needs it imports where they begin, since every command would wait for it.
"""

import logging
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from functools import partial
from threading import Event
from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError

from hub.config import load_config
from hub.core.configuration import Configuration
from hub.core.database_errors import DatabaseErrorKind, classify
from hub.core.delivery.lanes import ensure
from hub.core.errors import ConfigError
from hub.core.hub import Hub
from hub.core.inbound.config_versions import note_version
from hub.core.leads.form_tokens import has_forms, with_form_keys
from hub.core.ports import EVENTS, Store
from hub.gateways.crypto import local_secret
from hub.gateways.database.engine import open_database
from hub.gateways.database.migrations import revisions
from hub.gateways.database.wait import wait_for_store
from hub.gateways.identity import IdentityCache, identity_of, wait_for_identity
from hub.gateways.redis_queue import (
    RedisNames,
    WakeUpPublisher,
    WakeUpQueues,
    connect,
)
from hub.process.signals import when_told_to_end
from hub.settings import Settings

if TYPE_CHECKING:
    from hub.gateways.destination_client import DestinationClient
    from hub.worker.context import WorkerContext

BUSY_AGAIN_S = 1.0
# One for each thread of the clock: main, backfill, look-ups, replays. Other processes open one or
# two.
CONNECTIONS = 4

log = logging.getLogger(__name__)


def create_hub(settings: Settings, environ: Mapping[str, str]) -> Hub:
    """Return the hub for a process without a web layer: a worker, the clock or a command.

    Raises:
        ConfigError: `hub.yaml` has errors; all of them are listed.
    """
    configuration = read_configuration(settings, environ)
    store = open_database(settings.database_url, pool_size=CONNECTIONS)
    return Hub(
        configuration=configuration,
        store=store,
        waker=create_waker(settings, configuration, store),
        public_url=settings.public_url,
        allow_private=settings.allow_private_destinations,
    )


def create_waker(settings: Settings, configuration: Configuration, store: Store) -> WakeUpPublisher:
    """Return the sender of a process's wake-ups; it finds the hub's names in Redis by itself."""
    names = partial(find_names, settings, configuration, store)
    return WakeUpPublisher(settings.redis_url, names, configuration.destinations)


def find_names(settings: Settings, configuration: Configuration, store: Store) -> RedisNames | None:
    """Return the hub's names in Redis; None if neither database nor cache has its id."""
    hub_id = identity_of(store, identity_cache(settings))
    return RedisNames(configuration.site.name, hub_id) if hub_id else None


def identity_cache(settings: Settings) -> IdentityCache:
    """Return the cache of the id of the hub of `DATABASE_URL`."""
    return IdentityCache(settings.var_dir, settings.database_url)


def run_worker(settings: Settings, environ: Mapping[str, str], names: Collection[str] = ()) -> None:
    """Run a worker until it is signalled to stop; first wait for the database, without a limit.

    `names`: the destinations that it serves, and `events`; none means all.

    Raises:
        ConfigError: `hub.yaml` has errors (all of them are listed), or has not these destinations.
    """
    from hub.worker import rq_worker as workers

    stop = Event()
    on_signal = when_told_to_end(stop.set)
    hub = create_hub(settings, environ)
    _check_served(hub.configuration, names)
    while not _is_prepared(hub, stop):
        if stop.is_set():
            return
    in_redis = _wait_for_names(settings, hub, stop)
    if in_redis is not None:
        workers.run(_worker_context(settings, hub, in_redis, stop, names), on_signal)


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
    """Run the clock until it is signalled to stop.

    Raises:
        ConfigError: `hub.yaml` has errors; all of them are listed.
    """
    from hub.clock import clock as clocks

    stop = Event()
    when_told_to_end(stop.set)
    hub = create_hub(settings, environ)
    names = _wait_for_names(settings, hub, stop)
    if names is not None:
        redis = connect(settings.redis_url)
        clocks.run(hub, redis, WakeUpQueues(redis, names), stop)


def _is_prepared(hub: Hub, stop: Event) -> bool:
    """Wait for the database and prepare it; return False if the caller must try again.

    A database that answers may still be too busy to be written to.
    """
    if not wait_for_store(hub.store, stop):
        return False
    try:
        prepare_store(hub)
    except DBAPIError as error:
        why = _migration_needed(hub)
        if why is None and classify(error) is DatabaseErrorKind.REJECTED_ROW:
            raise
        why = why or type(error.orig).__name__
        log.warning("the database is not ready (%s); retrying shortly", why)
        stop.wait(BUSY_AGAIN_S)
        return False
    return True


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


def _wait_for_names(settings: Settings, hub: Hub, stop: Event) -> RedisNames | None:
    hub_id = wait_for_identity(hub.store, identity_cache(settings), stop)
    return RedisNames(hub.configuration.site.name, hub_id) if hub_id else None


def _clients(
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


def _worker_context(
    settings: Settings, hub: Hub, in_redis: RedisNames, stop: Event, names: Collection[str] = ()
) -> "WorkerContext":
    from hub.worker.backfill import BackfillTask
    from hub.worker.context import WorkerContext
    from hub.worker.reconcile import ReconcileTask

    clients, with_events = _clients(settings, hub, names), not names or EVENTS in names
    lookups = ReconcileTask(hub, clients)
    return WorkerContext(
        hub=hub,
        clients=clients,
        redis=connect(settings.redis_url),
        redis_url=settings.redis_url,
        names=in_redis,
        with_events=with_events,
        tasks=[lookups, BackfillTask(hub)] if with_events else [lookups],
        stop=stop,
    )


_KEPT: list[Configuration] = []


def keep_configuration(settings: Settings, environ: Mapping[str, str]) -> None:
    """Read `hub.yaml` and cache it for this process and those that it forks.

    Raises:
        ConfigError: as `read_configuration`; the configuration cached before stays.
    """
    _KEPT[:] = [read_configuration(settings, environ)]


def kept_configuration(settings: Settings, environ: Mapping[str, str]) -> Configuration:
    """Return the cached configuration; without one, read `hub.yaml`.

    Raises:
        ConfigError: as `read_configuration`.
    """
    return _KEPT[0] if _KEPT else read_configuration(settings, environ)


def read_configuration(settings: Settings, environ: Mapping[str, str]) -> Configuration:
    """Return the configuration that `hub.yaml` describes, with keys for the form tokens.

    Raises:
        ConfigError: the file has errors (all of them are listed), or it has forms and there is no
            signing key for their tokens.
    """
    configuration = load_config(
        settings.config_path,
        environ,
        published_secrets_allowed=settings.public_url is None,
        allow_private=settings.allow_private_destinations,
    )
    if not has_forms(configuration):
        return configuration
    return with_form_keys(configuration, secret_of(settings))


def secret_of(settings: Settings) -> str:
    """Return the key that signs cookies and tokens: `SECRET_KEY`, else this machine's own key.

    Raises:
        ConfigError: there is no key, and none can be created.
    """
    if settings.secret_key:
        return settings.secret_key
    try:
        return local_secret(settings.var_dir)
    except OSError as error:
        sentence = (
            f"SECRET_KEY is not set, and {settings.var_dir} cannot keep one: {error.strerror}; "
            "set it to 32 random characters"
        )
        raise ConfigError([sentence]) from error


def prepare_store(hub: Hub) -> None:
    """Insert the rows that the configuration needs: its version, and one for each lane."""
    now = datetime.now(UTC)
    with hub.store.write() as connection:
        ensure(connection, hub.configuration.destinations)
        note_version(connection, hub.configuration, now=now)
