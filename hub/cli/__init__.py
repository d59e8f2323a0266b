"""Command line: the `hub` command. Data goes to standard output, all else to standard error."""

import gc
import sys
from importlib import import_module
from typing import Any

import click
from sqlalchemy.exc import DBAPIError

from hub.core.errors import ConfigError, HubError

_COMMANDS = {
    "up": "hub.cli.up:up",
    "web": "hub.cli.processes:web",
    "worker": "hub.cli.processes:worker",
    "clock": "hub.cli.processes:clock",
    "db": "hub.cli.database:database",
    "check": "hub.cli.check:check",
    "send": "hub.cli.send:send",
    "requests": "hub.cli.lists:requests",
    "events": "hub.cli.lists:events",
    "deliveries": "hub.cli.lists:deliveries",
    "unknown": "hub.cli.lists:unknown",
    "alerts": "hub.cli.lists:alerts",
    "held": "hub.cli.leads:held",
    "release": "hub.cli.leads:release",
    "discard": "hub.cli.leads:discard",
    "people": "hub.cli.leads:people",
    "acknowledge": "hub.cli.leads:acknowledge",
    "show": "hub.cli.show:show",
    "replay": "hub.cli.actions:replay",
    "settle": "hub.cli.actions:settle",
    "backfill": "hub.cli.backfill:backfill",
    "pause": "hub.cli.actions:pause",
    "resume": "hub.cli.actions:resume",
    "users": "hub.cli.users:users",
    "audit": "hub.cli.lists:audit",
}


class _Commands(click.Group):
    """Command group that imports each command lazily: `hub events` need not load the web server."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, _, name = _COMMANDS[cmd_name].partition(":")
        # To import a module makes many objects and no garbage: looking for it takes a fifth of it.
        gc.disable()
        try:
            command: click.Command = getattr(import_module(module), name)
        finally:
            gc.enable()
        return command


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
def hub() -> None:
    """The one address that all your providers post to."""


def main(arguments: list[str] | None = None) -> Any:
    """Run a command; print expected errors as sentences, never as a traceback.

    Exit codes: 2 for configuration errors, 1 for errors of the hub, the database or a file.
    """
    try:
        return hub.main(args=arguments, prog_name="hub", standalone_mode=True)
    except ConfigError as error:
        for fault in error.faults:
            click.echo(fault, err=True)
        sys.exit(2)
    except HubError as error:
        click.echo(f"hub: {error}", err=True)
        sys.exit(1)
    except DBAPIError as error:
        said = str(error.orig).strip() or type(error.orig).__name__
        click.echo(f"hub: the database says: {said.splitlines()[0]}", err=True)
        sys.exit(1)
    except OSError as error:
        if not error.filename:
            raise
        click.echo(f"hub: {error.filename}: {error.strerror}", err=True)
        sys.exit(1)
