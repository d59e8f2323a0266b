"""gunicorn's own words, in the hub's lines instead of a format of their own."""

import logging
import os
from typing import Any

from gunicorn.glogging import Logger  # type: ignore[import-untyped]

from hub.gateways.logs import configure_logs


class ServerLog(Logger):  # type: ignore[misc]
    """Sends what gunicorn has to say to the process's log; there is no access log."""

    def setup(self, cfg: Any) -> None:
        """Set the process's log up, as the environment says, and leave no handler of gunicorn's."""
        self._access_log_enabled = False
        # At DEBUG gunicorn writes addresses, and the last part of one may be a secret.
        self.loglevel = max(logging.INFO, logging.getLevelName(cfg.loglevel.upper()))
        configure_logs(cfg.loglevel.upper(), os.environ.get("LOG_FORMAT") or None)
        self.error_log.handlers.clear()
        self.error_log.propagate = True
        self.error_log.setLevel(self.loglevel)

    def reopen_files(self) -> None:
        """Open nothing anew: everything goes to standard error."""
