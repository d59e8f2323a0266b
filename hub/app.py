"""Application factory: builds the Flask application. The only module that may import every layer.

`hub.bootstrap` builds the processes that need no web layer.
"""

from collections.abc import Mapping

from flask import Flask

from hub.bootstrap import create_disk_watch, create_waker, kept_configuration, secret_of
from hub.core.hub import Hub
from hub.gateways.captcha import Captchas
from hub.gateways.password_hashing import places_for
from hub.settings import WEB_THREADS, Settings
from hub.web import batch_writer, dashboard, errors
from hub.web.database import init_database
from hub.web.forms.submit import forms
from hub.web.health import health
from hub.web.intake import Intake
from hub.web.lead_link import acknowledging
from hub.web.metrics import metrics
from hub.web.proxy_watch import ProxyWatch
from hub.web.request_reader import with_named_host
from hub.web.source_counters import SourceCounters
from hub.web.webhooks import webhooks


def create_app(settings: Settings, environ: Mapping[str, str]) -> Flask:
    """Return the Flask application. No connection is opened yet.

    Raises:
        ConfigError: `hub.yaml` has errors (all of them are listed), or there is no signing key.
    """
    configuration = kept_configuration(settings, environ)
    app = Flask("hub", static_folder=None)
    app.config.update(
        TRUSTED_HOSTS=list(settings.all_trusted_hosts),
        SECRET_KEY=secret_of(settings),
    )
    app.url_map.strict_slashes = True
    app.url_map.merge_slashes = False
    threads = WEB_THREADS + batch_writer.THREADS
    database = init_database(app, settings.database_url, pool_size=threads)
    hub = Hub(
        configuration=configuration,
        store=database,
        waker=create_waker(settings, configuration, database),
        public_url=settings.public_url,
        allow_private=settings.allow_private_destinations,
        disk=create_disk_watch(settings, database),
    )
    app.extensions |= {
        "hub": hub,
        "hub_settings": settings,
        "hub_intake": Intake(hub, SourceCounters(database)),
        "hub_captchas": Captchas(allow_private=settings.allow_private_destinations),
        "hub_proxy_hops": settings.proxy_hops,
        "hub_proxy_watch": ProxyWatch(
            database, proxy_hops=settings.proxy_hops, is_public=settings.public_url is not None
        ),
        "hub_hashing_places": places_for(WEB_THREADS, settings.web_concurrency),
    }
    errors.register(app)
    app.register_blueprint(webhooks)
    app.register_blueprint(forms)
    app.register_blueprint(acknowledging)
    app.register_blueprint(health)
    app.register_blueprint(metrics)
    dashboard.register(app, secure=(settings.public_url or "").startswith("https:"))
    app.wsgi_app = with_named_host(app.wsgi_app)  # type: ignore[assignment, method-assign]
    return app
