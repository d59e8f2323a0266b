"""`hub web`, `hub worker`, `hub clock`: the processes, each of which may run many times."""

import os
import sys

import click

from hub.app import WEB_THREADS, read_configuration, run_clock, run_worker
from hub.cli.session import open_settings
from hub.settings import Settings

GRACE_S = 25
KEEP_ALIVE_S = 5


@click.command()
def web() -> None:
    """Take webhooks in."""
    settings = open_settings()
    read_configuration(settings, os.environ)
    os.execv(sys.executable, [sys.executable, "-m", "gunicorn", *gunicorn_arguments(settings)])  # noqa: S606


def gunicorn_arguments(settings: Settings) -> list[str]:
    """Return the web server's command line."""
    return [
        f"--bind={settings.bind_host}:{settings.port}",
        f"--workers={settings.web_concurrency}",
        f"--threads={WEB_THREADS}",
        "--worker-class=gthread",
        "--no-control-socket",
        f"--graceful-timeout={GRACE_S}",
        f"--keep-alive={KEEP_ALIVE_S}",
        "--timeout=60",
        "--backlog=1024",
        f"--log-level={settings.log_level.lower()}",
        "wsgi:app",
    ]


@click.command()
def worker() -> None:
    """Do the work: call the destinations."""
    run_worker(open_settings(), os.environ)


@click.command()
def clock() -> None:
    """Sweep every few seconds, so that nothing that is due waits for luck."""
    run_clock(open_settings(), os.environ)
