"""Process commands `hub web`, `hub worker` and `hub clock`. Each may run several times."""

import gc
import os
import sys

import click

from hub.cli.context import json_logs, open_settings
from hub.processes import run_clock, run_worker


@click.command()
@json_logs
def web() -> None:
    """Take webhooks in."""
    settings = open_settings()
    gc.disable()  # as for a command's own module; `serve` goes on with it
    from hub.server import serve  # other commands need no web floor

    sys.exit(serve(settings))


@click.command()
@click.argument("destinations", nargs=-1)
@json_logs
def worker(destinations: tuple[str, ...]) -> None:
    """Do the work: call the DESTINATIONS, all if none are named.

    The name `events` stands for what belongs to no destination: folding, lists of providers.
    """
    run_worker(open_settings(), os.environ, destinations)


@click.command()
@json_logs
def clock() -> None:
    """Sweep every few seconds, so that nothing that is due waits for luck."""
    run_clock(open_settings(), os.environ)
