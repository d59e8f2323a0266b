"""Puts the hub together. The only file that knows every other."""

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from threading import Event

from flask import Flask
from sqlalchemy.exc import DBAPIError

from hub.config import load_config
from hub.core.configuration import Configuration
from hub.core.hub import Hub
from hub.core.lanes import ensure
from hub.core.trouble import Trouble, trouble_of
from hub.core.versions import note_version
from hub.gateways.database import Database, db, engine_options, open_database
from hub.gateways.destinations import Gate
from hub.gateways.keys import local_secret
from hub.gateways.patience import wait_for_store
from hub.gateways.queue import Flusher, connect
from hub.jobs import clock as clocks
from hub.jobs import worker as workers
from hub.jobs.workshop import Workshop
from hub.settings import Settings
from hub.web import answers, dashboard
from hub.web.forms import forms
from hub.web.health import health
from hub.web.metrics import metrics
from hub.web.tally import Tally
from hub.web.webhooks import webhooks

WEB_THREADS = 8
WEB_ROUND_TRIP_S = 5.0
"""A sender waits 10 s or so: a dead line, and the try of a new one, must cost less than that."""
BUSY_AGAIN_S = 1.0

log = logging.getLogger(__name__)


def create_app(settings: Settings, environ: Mapping[str, str]) -> Flask:
    """Return the web application; connects to nothing yet.

    Raises:
        ConfigError: `hub.yaml` is wrong; every fault of it.
    """
    configuration = read_configuration(settings, environ)
    app = Flask("hub", static_folder=None)
    app.config.update(
        SQLALCHEMY_DATABASE_URI=settings.database_url,
        SQLALCHEMY_ENGINE_OPTIONS=engine_options(settings.database_url, pool_size=WEB_THREADS),
        TRUSTED_HOSTS=list(settings.all_trusted_hosts),
        SECRET_KEY=settings.secret_key or local_secret(settings.var_dir),
    )
    app.url_map.strict_slashes = True
    app.url_map.merge_slashes = False
    db.init_app(app)
    with app.app_context():
        database = Database(db.engine, round_trip_s=WEB_ROUND_TRIP_S)
    hub = Hub(
        configuration=configuration,
        store=database,
        waker=Flusher(settings.redis_url),
        public_url=settings.public_url,
        allow_private=settings.allow_private_destinations,
    )
    app.extensions |= {"hub": hub, "hub_settings": settings, "hub_tally": Tally(database)}
    answers.register(app)
    app.register_blueprint(webhooks)
    app.register_blueprint(forms)
    app.register_blueprint(health)
    app.register_blueprint(metrics)
    dashboard.register(app, secure=(settings.public_url or "").startswith("https:"))
    return app


def create_hub(settings: Settings, environ: Mapping[str, str]) -> Hub:
    """Return the hub without its web floor, for workers, the clock and commands.

    Raises:
        ConfigError: `hub.yaml` is wrong; every fault of it.
    """
    return Hub(
        configuration=read_configuration(settings, environ),
        store=open_database(settings.database_url, pool_size=2),
        waker=Flusher(settings.redis_url),
        public_url=settings.public_url,
        allow_private=settings.allow_private_destinations,
    )


def run_worker(settings: Settings, environ: Mapping[str, str]) -> None:
    """Work until told to stop; wait for the database first, however long that takes.

    Raises:
        ConfigError: `hub.yaml` is wrong; every fault of it.
    """
    hub = create_hub(settings, environ)
    workshop = _workshop(settings, hub)
    workers.listen_for_signals(workshop)
    while not _is_prepared(hub, workshop.stop):
        if workshop.stop.is_set():
            return
    workers.run(workshop)


def run_clock(settings: Settings, environ: Mapping[str, str]) -> None:
    """Sweep until told to stop.

    Raises:
        ConfigError: `hub.yaml` is wrong; every fault of it.
    """
    hub = create_hub(settings, environ)
    clocks.run(hub, connect(settings.redis_url), _gates(settings, hub))


def _is_prepared(hub: Hub, stop: Event) -> bool:
    """Wait for the database and prepare it; what answers may still be too busy to be written to."""
    if not wait_for_store(hub.store, stop):
        return False
    try:
        prepare_store(hub)
    except DBAPIError as error:
        if trouble_of(error) is Trouble.ROW:
            raise
        log.warning("the database is not ready (%s); again in a moment", type(error.orig).__name__)
        stop.wait(BUSY_AGAIN_S)
        return False
    return True


def _gates(settings: Settings, hub: Hub) -> dict[str, Gate]:
    return {
        destination.slug: Gate(
            destination,
            allow_private=settings.allow_private_destinations,
            public_url=settings.public_url,
        )
        for destination in hub.configuration.destinations.values()
        if destination.enabled
    }


def _workshop(settings: Settings, hub: Hub) -> Workshop:
    return Workshop(
        hub=hub,
        gates=_gates(settings, hub),
        redis=connect(settings.redis_url),
        redis_url=settings.redis_url,
    )


def read_configuration(settings: Settings, environ: Mapping[str, str]) -> Configuration:
    """Return what `hub.yaml` says.

    Raises:
        ConfigError: every fault of it.
    """
    return load_config(
        settings.config_path,
        environ,
        published_secrets_allowed=settings.public_url is None,
        allow_private=settings.allow_private_destinations,
    )


def prepare_store(hub: Hub) -> None:
    """Write down what the configuration needs in the database: its version, a row per lane."""
    now = datetime.now(UTC)
    with hub.store.write() as connection:
        ensure(connection, hub.configuration.destinations)
        note_version(connection, hub.configuration, now=now)
