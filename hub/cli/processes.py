"""Process commands `hub web`, `hub worker` and `hub clock`. Each may run several times."""

import gc
import os
import sys

import click

from hub.bootstrap import run_clock, run_worker
from hub.cli.context import json_logs, open_settings


@click.command()
@json_logs
def web() -> None:
    """Take webhooks in."""
    settings = open_settings()
    gc.disable()  # as for a command's own module; `serve` goes on with it
    from hub.server import serve  # other commands need no web floor

    sys.exit(serve(settings))


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
