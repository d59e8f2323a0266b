"""Process commands `hub web`, `hub worker` and `hub clock`. Each may run several times."""

import os
import resource
import sys
from pathlib import Path

import click

from hub.bootstrap import keep_configuration, run_clock, run_worker
from hub.cli.context import json_logs, open_settings
from hub.settings import WEB_THREADS, Settings

GRACE_S = 25
KEEP_ALIVE_S = 5
MOST_CONNECTIONS = 1000


@click.command()
@json_logs
def web() -> None:
    """Take webhooks in."""
    settings = open_settings()
    keep_configuration(settings, os.environ)
    serve(gunicorn_arguments(settings))


def serve(arguments: list[str]) -> None:
    """Run gunicorn in this process: its workers inherit the imported modules and start faster."""
    import gunicorn.__main__  # type: ignore[import-untyped]

    from hub.cli.server import Server

    sys.argv = [str(gunicorn.__main__.__file__), *arguments]  # gunicorn re-executes itself with it
    Server(prog="gunicorn").run()


WSGI_FOLDER = Path(__file__).parents[2]


def gunicorn_arguments(settings: Settings) -> list[str]:
    """Return gunicorn's command-line arguments."""
    return [
        f"--bind={settings.bind_host}:{settings.port}",
        f"--workers={settings.web_concurrency}",
        f"--threads={WEB_THREADS}",
        f"--worker-connections={most_connections()}",
        "--worker-class=hub.web.server.worker.Worker",
        "--logger-class=hub.web.server.log.ServerLog",
        "--no-control-socket",
        # Proxy headers are ignored: the public URL is HUB_PUBLIC_URL, and with them a client
        # behind a proxy on this machine could set SCRIPT_NAME and the scheme.
        "--forwarded-allow-ips=",
        "--forwarder-headers=",
        f"--graceful-timeout={GRACE_S}",
        f"--keep-alive={KEEP_ALIVE_S}",
        "--timeout=60",
        "--backlog=1024",
        f"--log-level={settings.log_level.lower()}",
        f"--pythonpath={WSGI_FOLDER}",  # `hub` may be called from anywhere
        "wsgi:app",
    ]


def most_connections() -> int:
    """Return the number of connections that a web worker accepts; others wait in the backlog.

    A worker that accepts more connections than it has file descriptors dies with all its requests.
    """
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return MOST_CONNECTIONS
    return max(WEB_THREADS + 1, min(MOST_CONNECTIONS, files // 2))


@click.command()
@json_logs
def worker() -> None:
    """Do the work: call the destinations."""
    run_worker(open_settings(), os.environ)


@click.command()
@json_logs
def clock() -> None:
    """Sweep every few seconds, so that nothing that is due waits for luck."""
    run_clock(open_settings(), os.environ)
