"""Gunicorn server whose arbiter alone reads `hub.yaml`; its workers inherit the configuration.

So a worker that dies while the file is being edited restarts with the old configuration, and a
SIGHUP has no effect while the file has errors.
"""

import os

from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped]
from gunicorn.app.wsgiapp import WSGIApplication  # type: ignore[import-untyped]
from gunicorn.arbiter import Arbiter  # type: ignore[import-untyped]

from hub.bootstrap import keep_configuration
from hub.core.errors import ConfigError
from hub.settings import load_settings


class _Arbiter(Arbiter):  # type: ignore[misc]
    def handle_hup(self) -> None:
        try:
            keep_configuration(load_settings(os.environ), os.environ)
        except ConfigError as error:
            for fault in error.faults:
                self.log.error("not taken over, the hub goes on as before: %s", fault)
            return
        super().handle_hup()


class _Base(BaseApplication):  # type: ignore[misc]
    """Mixin that replaces the arbiter; gunicorn's own base class hard-codes it."""

    def run(self) -> None:
        _Arbiter(self).run()


class Server(WSGIApplication, _Base):  # type: ignore[misc]
    """WSGI application as gunicorn's command line runs it, with the hub's arbiter."""
