"""The web server's first process: it alone reads `hub.yaml`, and its workers inherit what it read.

So a worker that dies while the file is being edited comes back as it was, and a HUP with a fault in
the file changes nothing.
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
    """Stands before gunicorn's own base, which names its arbiter itself."""

    def run(self) -> None:
        _Arbiter(self).run()


class Server(WSGIApplication, _Base):  # type: ignore[misc]
    """gunicorn, as its command line starts it, with our first process."""
