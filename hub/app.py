"""Puts the web application together. With `hub.bootstrap`, all that knows every other file."""

from collections.abc import Mapping

from flask import Flask
from flask_sqlalchemy import SQLAlchemy

from hub.bootstrap import kept_configuration, secret_of
from hub.core.hub import Hub
from hub.core.models import Base
from hub.gateways.captcha import Captchas
from hub.gateways.database.engine import Database, engine_options
from hub.gateways.redis_queue import WakeUpPublisher
from hub.settings import WEB_THREADS, Settings
from hub.web import dashboard, errors
from hub.web.express import FastPath
from hub.web.forms.submit import forms
from hub.web.health import health
from hub.web.lead_link import acknowledging
from hub.web.metrics import metrics
from hub.web.receiver import GroupCommitWriter
from hub.web.source_counters import SourceCounters
from hub.web.webhooks import webhooks

# Flask's hold on the engine: one per process, made with the app.
db = SQLAlchemy(metadata=Base.metadata, disable_autonaming=True)
# A sender waits 10 s or so: a dead line, and the try of a new one, must cost less than that.
WEB_ROUND_TRIP_S = 5.0
# Twice that, where what was written with others is tried once more alone.
WEB_LOCK_TIMEOUT_S = 2.0


def create_app(settings: Settings, environ: Mapping[str, str]) -> Flask:
    """Return the web application; connects to nothing yet.

    Raises:
        ConfigError: `hub.yaml` is wrong, every fault of it; or there is no secret to sign with.
    """
    configuration = kept_configuration(settings, environ)
    app = Flask("hub", static_folder=None)
    app.config.update(
        SQLALCHEMY_DATABASE_URI=settings.database_url,
        SQLALCHEMY_ENGINE_OPTIONS=engine_options(
            settings.database_url, pool_size=WEB_THREADS, lock_timeout_s=WEB_LOCK_TIMEOUT_S
        ),
        TRUSTED_HOSTS=list(settings.all_trusted_hosts),
        SECRET_KEY=secret_of(settings),
    )
    app.url_map.strict_slashes = True
    app.url_map.merge_slashes = False
    db.init_app(app)
    with app.app_context():
        database = Database(db.engine, round_trip_s=WEB_ROUND_TRIP_S)
    hub = Hub(
        configuration=configuration,
        store=database,
        waker=WakeUpPublisher(settings.redis_url),
        public_url=settings.public_url,
        allow_private=settings.allow_private_destinations,
    )
    app.extensions |= {
        "hub": hub,
        "hub_settings": settings,
        "hub_source_counters": SourceCounters(database),
    }
    app.extensions["hub_group_commit"] = GroupCommitWriter(hub)
    app.extensions |= {
        "hub_captchas": Captchas(allow_private=settings.allow_private_destinations),
        "hub_proxy_hops": settings.proxy_hops,
    }
    errors.register(app)
    app.register_blueprint(webhooks)
    app.register_blueprint(forms)
    app.register_blueprint(acknowledging)
    app.register_blueprint(health)
    app.register_blueprint(metrics)
    dashboard.register(app, secure=(settings.public_url or "").startswith("https:"))
    express = FastPath(app, settings.database_url) if database.dialect == "postgresql" else None
    app.extensions["hub_fast_path"] = express
    return app
