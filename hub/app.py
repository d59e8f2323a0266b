"""Application factory: builds the Flask application. The only module that may import every layer.

`hub.bootstrap` builds the processes that need no web layer.
"""

from collections.abc import Mapping

from flask import Flask
from flask_sqlalchemy import SQLAlchemy

from hub.bootstrap import create_waker, kept_configuration, secret_of
from hub.core.hub import Hub
from hub.core.models import Base
from hub.gateways.captcha import Captchas
from hub.gateways.database.engine import Database, engine_options
from hub.settings import WEB_THREADS, Settings
from hub.web import batch_writer, dashboard, errors
from hub.web.forms.submit import forms
from hub.web.health import health
from hub.web.intake import Intake
from hub.web.lead_link import acknowledging
from hub.web.metrics import metrics
from hub.web.source_counters import SourceCounters
from hub.web.webhooks import webhooks

# Flask-SQLAlchemy owns the engine: one per process, created with the application.
db = SQLAlchemy(metadata=Base.metadata, disable_autonaming=True)
# Senders wait about 10 s: a dead connection and one reconnect together must take less than that.
WEB_ROUND_TRIP_S = 5.0
# Waited for up to twice: after a write of many requests that failed, each is stored alone.
WEB_LOCK_TIMEOUT_S = 2.0


def create_app(settings: Settings, environ: Mapping[str, str]) -> Flask:
    """Return the Flask application. No connection is opened yet.

    Raises:
        ConfigError: `hub.yaml` has errors (all of them are listed), or there is no signing key.
    """
    configuration = kept_configuration(settings, environ)
    app = Flask("hub", static_folder=None)
    app.config.update(
        SQLALCHEMY_DATABASE_URI=settings.database_url,
        SQLALCHEMY_ENGINE_OPTIONS=engine_options(
            settings.database_url,
            pool_size=WEB_THREADS + batch_writer.THREADS,
            lock_timeout_s=WEB_LOCK_TIMEOUT_S,
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
        waker=create_waker(settings, configuration, database),
        public_url=settings.public_url,
        allow_private=settings.allow_private_destinations,
    )
    app.extensions |= {
        "hub": hub,
        "hub_settings": settings,
        "hub_intake": Intake(hub, SourceCounters(database)),
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
    return app
