"""Composition root of the processes without a web layer: workers, the clock and commands.

It never imports `hub.web`, which would only cost memory in these processes; and what a worker or
the clock alone needs it imports where they begin, since every command would wait for it.
"""

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
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
from hub.gateways.crypto import local_secret
from hub.gateways.database.engine import open_database
from hub.gateways.database.migrations import revisions
from hub.gateways.database.wait import NotReady, wait_until_ready
from hub.gateways.redis_queue import WakeUpPublisher, connect
from hub.settings import Settings

if TYPE_CHECKING:
    from hub.gateways.destination_client import DestinationClient
    from hub.worker.context import WorkerContext

# One for each thread of the clock: main, backfill, look-ups, replays. Other processes open one or
# two.
CONNECTIONS = 4

log = logging.getLogger(__name__)


def create_hub(settings: Settings, environ: Mapping[str, str]) -> Hub:
    """Return the hub for a process without a web layer: a worker, the clock or a command.

    Raises:
        ConfigError: `hub.yaml` has errors; all of them are listed.
    """
    return Hub(
        configuration=read_configuration(settings, environ),
        store=open_database(settings.database_url, pool_size=CONNECTIONS),
        waker=WakeUpPublisher(settings.redis_url),
        public_url=settings.public_url,
        allow_private=settings.allow_private_destinations,
    )


def run_worker(settings: Settings, environ: Mapping[str, str]) -> None:
    """Run a worker until it is signalled to stop; first wait for the database, without a limit.

    Raises:
        ConfigError: `hub.yaml` has errors; all of them are listed.
    """
    from hub.worker import rq_worker as workers

    hub = create_hub(settings, environ)
    worker = _worker_context(settings, hub)
    workers.listen_for_signals(worker)
    if wait_until_ready(partial(_prepare, hub), worker.stop):
        workers.run(worker)


def run_clock(settings: Settings, environ: Mapping[str, str]) -> None:
    """Run the clock until it is signalled to stop.

    Raises:
        ConfigError: `hub.yaml` has errors; all of them are listed.
    """
    from hub.clock import clock as clocks

    hub = create_hub(settings, environ)
    clocks.run(hub, connect(settings.redis_url), _clients(settings, hub))


def _prepare(hub: Hub) -> None:
    """Prepare the store.

    Raises:
        NotReady: it does not answer, is too busy to be written to, or lacks a migration.
    """
    try:
        prepare_store(hub)
    except DBAPIError as error:
        why = _migration_needed(hub)
        if why is None and classify(error) is DatabaseErrorKind.REJECTED_ROW:
            raise
        raise NotReady(why or type(error.orig).__name__) from error


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


def _clients(settings: Settings, hub: Hub) -> "dict[str, DestinationClient]":
    from hub.gateways.destination_client import DestinationClient

    return {
        destination.slug: DestinationClient(
            destination,
            allow_private=settings.allow_private_destinations,
            public_url=settings.public_url,
        )
        for destination in hub.configuration.destinations.values()
        if destination.enabled
    }


def _worker_context(settings: Settings, hub: Hub) -> "WorkerContext":
    from hub.worker.context import WorkerContext

    return WorkerContext(
        hub=hub,
        clients=_clients(settings, hub),
        redis=connect(settings.redis_url),
        redis_url=settings.redis_url,
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
