"""`hub db`: the schema, up, down and compared."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click
from alembic.util.exc import CommandError

from hub.cli.session import agreed, open_settings
from hub.cli.tables import print_json
from hub.core.errors import HubError
from hub.gateways.database import downgrade as take_down
from hub.gateways.database import open_database, revisions
from hub.gateways.database import upgrade as bring_up

as_json_option = click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")


@click.group(name="db")
def database() -> None:
    """Look after the database's tables."""


@database.command()
@click.argument("revision", default="head")
@as_json_option
def upgrade(revision: str, *, as_json: bool) -> None:
    """Bring the tables up to this version."""
    url = open_settings().database_url
    with _revisions_found():
        bring_up(url, revision)
    click.echo("the database is up to date", err=True)
    if as_json:
        print_json(_standing(url))


@database.command()
@click.argument("revision", default="-1")
@click.option("--yes", is_flag=True, help="Do not ask.")
@as_json_option
def downgrade(revision: str, *, yes: bool, as_json: bool) -> None:
    """Take the tables down to REVISION (default: one step; `base`: nothing is left).

    At a terminal it asks first; a script has said what it wants.
    """
    url = open_settings().database_url
    if sys.stdin.isatty():
        agreed("This drops tables and what is in them. Go on?", yes=yes)
    with _revisions_found():
        take_down(url, revision)
    click.echo("the tables are taken down", err=True)
    if as_json:
        print_json(_standing(url))


@database.command()
@as_json_option
def check(*, as_json: bool) -> None:
    """Say whether the tables are those of this version."""
    standing = _standing(open_settings().database_url)
    current, newest = standing["revision"], standing["newest"]
    if as_json:
        print_json(standing)
    if current != newest:
        found = f"the tables are at {current}" if current else "there are no tables"
        raise HubError(f"{found}, the newest is {newest}: run `hub db upgrade`")
    click.echo(f"the tables are at {current}, the newest", err=True)


def _standing(url: str) -> dict[str, str | None]:
    """Return the tables' revision, and the newest one that there is."""
    with open_database(url).read() as connection:
        current, newest = revisions(connection)
    return {"revision": current, "newest": newest}


@contextmanager
def _revisions_found() -> Iterator[None]:
    try:
        yield
    except CommandError as error:
        raise HubError(f"{error}: has it been migrated by another version?") from error
