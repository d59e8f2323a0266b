"""`hub db`: the schema, up, down and compared."""

import sys

import click

from hub.cli.session import open_settings
from hub.core.errors import HubError
from hub.gateways.database import downgrade as take_down
from hub.gateways.database import open_database, revisions
from hub.gateways.database import upgrade as bring_up


@click.group(name="db")
def database() -> None:
    """Look after the database's tables."""


@database.command()
@click.argument("revision", default="head")
def upgrade(revision: str) -> None:
    """Bring the tables up to this version."""
    bring_up(open_settings().database_url, revision)
    click.echo("the database is up to date", err=True)


@database.command()
@click.argument("revision", default="-1")
@click.option("--yes", is_flag=True, help="Do not ask.")
def downgrade(revision: str, *, yes: bool) -> None:
    """Take the tables down to REVISION (default: one step; `base`: nothing is left)."""
    if not yes and sys.stdin.isatty():
        click.confirm("This drops tables and what is in them. Go on?", abort=True, err=True)
    take_down(open_settings().database_url, revision)


@database.command()
def check() -> None:
    """Say whether the tables are those of this version."""
    with open_database(open_settings().database_url).read() as connection:
        current, newest = revisions(connection)
    if current != newest:
        raise HubError(f"the tables are at {current or 'nothing'}, not {newest}: `hub db upgrade`")
    click.echo(f"the tables are at {current}, the newest", err=True)
