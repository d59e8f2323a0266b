"""Command `hub db`: migrate the schema up or down, check it, and note a restored backup."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta

import click
from alembic.util.exc import CommandError
from marshmallow import ValidationError

from hub.cli.context import actor, agreed, now, open_hub, open_settings
from hub.cli.tables import print_json
from hub.config.fields import Duration
from hub.core.delivery.restore_detection import note_restored
from hub.core.errors import HubError
from hub.gateways.database.engine import open_database
from hub.gateways.database.migrations import downgrade as take_down
from hub.gateways.database.migrations import revisions
from hub.gateways.database.migrations import upgrade as bring_up

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


class InstantOption(click.ParamType[datetime]):
    """Option type of a past time: with a zone, `2026-11-20T03:00:00Z`, or relative: `26h`."""

    name = "time"

    def convert(
        self, value: str, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        with suppress(ValidationError):
            return now() - timedelta(seconds=Duration(low="1s", high="400d").deserialize(value))
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value} is no time: write 2026-11-20T03:00:00Z, or 26h", param, ctx)
        if moment.tzinfo is None:
            self.fail(f"{value} has no zone: write {value}Z if it is UTC", param, ctx)
        if moment > now():
            self.fail(f"{value} is yet to come", param, ctx)
        return moment.astimezone(UTC)


@database.command()
@click.option(
    "--since",
    type=InstantOption(),
    required=True,
    help="When the backup was taken: a time, or 26h.",
)
@as_json_option
def restored(since: datetime, *, as_json: bool) -> None:
    """Say that the database was restored from a backup.

    What may have been sent since is looked up before it is sent again, or waits for you. The hub
    notices by itself where Redis was kept; say it before it starts where Redis was lost too.
    """
    hub = open_hub(open_settings())
    with hub.store.write() as connection:
        note_restored(connection, since=since, now=now(), actor=actor())
    click.echo("noted: what may have been sent since is looked up first", err=True)
    if as_json:
        print_json({"since": since})


def _standing(url: str) -> dict[str, str | None]:
    """Return the current revision of the schema and the newest one."""
    with open_database(url).read() as connection:
        current, newest = revisions(connection)
    return {"revision": current, "newest": newest}


@contextmanager
def _revisions_found() -> Iterator[None]:
    try:
        yield
    except CommandError as error:
        raise HubError(f"{error}: has it been migrated by another version?") from error
