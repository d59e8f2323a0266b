"""Log class for gunicorn: its messages go to the hub's log, in the hub's format."""

import logging
import os
from typing import Any

from gunicorn.glogging import Logger  # type: ignore[import-untyped]

from hub.gateways.logs import configure_logs


class ServerLog(Logger):  # type: ignore[misc]
    """Logger that forwards gunicorn's messages to the process's log; there is no access log."""

    def setup(self, cfg: Any) -> None:
        """Configure the process's log from the environment, and remove gunicorn's own handlers."""
        self._access_log_enabled = False
        # At DEBUG gunicorn writes addresses, and the last part of one may be a secret.
        self.loglevel = max(logging.INFO, logging.getLevelName(cfg.loglevel.upper()))
        configure_logs(cfg.loglevel.upper(), os.environ.get("LOG_FORMAT") or None)
        self.error_log.handlers.clear()
        self.error_log.propagate = True
        self.error_log.setLevel(self.loglevel)

    def reopen_files(self) -> None:
        """Do nothing: the log goes to standard error, not to a file."""
