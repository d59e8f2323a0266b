"""Composition root of the processes without a web layer: workers, the clock and commands.

It never imports `hub.web`, which would only cost memory in these processes. `hub.processes` adds
what the worker and the clock need.
"""

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial

from sqlalchemy.exc import DBAPIError

from hub.config import load_config
from hub.core.configuration import Configuration
from hub.core.delivery.lanes import ensure
from hub.core.delivery.shards import ensure_shards
from hub.core.errors import ConfigError
from hub.core.hub import Hub
from hub.core.inbound.config_versions import note_version
from hub.core.leads.form_tokens import has_forms, with_form_keys
from hub.core.ports import Store
from hub.gateways.crypto import local_secret
from hub.gateways.database.engine import open_database
from hub.gateways.database.sqlite import file_of
from hub.gateways.disk_watch import DiskWatch, watched_disks
from hub.gateways.file_owners import find_foreign, foreign_sentence
from hub.gateways.identity import IdentityCache, identity_of, start_identity
from hub.gateways.private_files import find_open, open_sentence
from hub.gateways.redis_queue import RedisNames
from hub.gateways.wake_up_publisher import WakeUpPublisher
from hub.settings import Settings

# One for each thread of a worker that runs SQL: drain, look-ups, backfill, projector, wake-ups.
CONNECTIONS = 5

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
        disk=create_disk_watch(settings, store),
    )


def create_disk_watch(settings: Settings, store: Store | None = None) -> DiskWatch:
    """Return the watch over the disks that this hub writes to; nothing is looked at yet."""
    url, folder = settings.database_url, settings.var_dir
    return DiskWatch(watched_disks(url, folder, redis_embedded=settings.redis_embedded), store)


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


def warn_of_files(settings: Settings) -> None:
    """Log which files and folders others may look into, and which the hub's user cannot open."""
    kept = settings.var_dir, file_of(settings.database_url)
    if found := find_open(*kept):
        log.warning("%s", open_sentence(found))
    if found := find_foreign(*kept):
        log.warning("%s", foreign_sentence(found))


def refuse_copy(settings: Settings) -> None:
    """Check that the database is not a copy, and note the origin; without a database do nothing.

    Web processes start without it. Worker and clock, which wait for it, check again.

    Raises:
        ConfigError: the hub of the database last ran under another origin.
    """
    database = open_database(settings.database_url, pool_size=1)
    try:
        start_identity(database, identity_cache(settings), settings.public_url)
    except DBAPIError as error:
        log.warning(
            "starting without the database (%s): whether it is a copy is not known",
            type(error.orig).__name__,
        )
    finally:
        database.engine.dispose()


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
    """Insert the rows that the configuration needs: its version, and those of the lanes."""
    now = datetime.now(UTC)
    with hub.store.read() as connection:
        hub.bodies.learn(connection)
    with hub.store.write() as connection:
        ensure(connection, hub.configuration.destinations)
        ensure_shards(connection, hub.configuration.destinations.values())
        note_version(connection, hub.configuration, now=now)
