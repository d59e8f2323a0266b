"""Patched `hub web` with short body timeouts: `python -m tests.web.impatient`."""

import os
import sys

from gunicorn.app.wsgiapp import WSGIApplication

from hub.cli.processes import gunicorn_arguments
from hub.settings import load_settings
from hub.web import request_reader
from hub.web.server import worker

ARRIVE_WITHIN_S = 1.5
BODY_TIMEOUT_S = 1.5


def main() -> None:
    # Set before the workers are forked: they import nothing anew.
    worker.ARRIVE_WITHIN_S = ARRIVE_WITHIN_S
    request_reader.BODY_TIMEOUT_S = BODY_TIMEOUT_S
    sys.argv = ["hub web", *gunicorn_arguments(load_settings(os.environ))]
    WSGIApplication("%(prog)s [OPTIONS] [APP_MODULE]").run()


if __name__ == "__main__":
    main()
