"""Command `hub db`: migrate the schema, check it, note a restored backup, adopt a copy."""

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
from hub.core.delivery.lanes import ensure
from hub.core.delivery.restore_detection import note_restored
from hub.core.errors import HubError
from hub.core.identity import Identity, read_identity
from hub.core.identity import adopt as change_identity
from hub.gateways.database.engine import open_database
from hub.gateways.database.migrations import downgrade as take_down
from hub.gateways.database.migrations import revisions
from hub.gateways.database.migrations import upgrade as bring_up
from hub.gateways.identity import IdentityCache

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


@database.command()
@click.option("--as-copy", is_flag=True, help="A copy: a new id, and every destination is paused.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@as_json_option
def adopt(*, as_copy: bool, yes: bool, as_json: bool) -> None:
    """Say that the hub of this database has moved to HUB_PUBLIC_URL, or that it is a copy.

    The hub does not start on a database whose hub last ran under another HUB_PUBLIC_URL: a copy
    would send what its origin sends too.
    """
    settings = open_settings()
    hub = open_hub(settings)
    with hub.store.read() as connection:
        before = read_identity(connection)
    place = settings.public_url or "no HUB_PUBLIC_URL"
    if before is not None and before.public_url == settings.public_url and not as_copy:
        identity = before
        click.echo(f"nothing to do: this is the hub at {place}", err=True)
    else:
        agreed(_adoption(before, place, as_copy=as_copy), yes=yes)
        with hub.store.write() as connection:
            if as_copy:
                ensure(connection, hub.configuration.destinations)
            identity = change_identity(
                connection,
                public_url=settings.public_url,
                as_copy=as_copy,
                actor=actor(),
                now=now(),
            )
        IdentityCache(settings.var_dir, settings.database_url).write(identity.hub_id)
        paused = "; all is paused, until `hub resume DESTINATION`" if as_copy else ""
        click.echo(f"this is the hub at {place} now, {identity.hub_id}{paused}", err=True)
    if as_json:
        print_json({"hub_id": identity.hub_id, "public_url": identity.public_url})


def _adoption(before: Identity | None, place: str, *, as_copy: bool) -> str:
    """Return the question before a database is adopted: what it means, and for whom."""
    last = before.public_url if before else None
    origin = f"at {last}" if last else "without a noted HUB_PUBLIC_URL"
    if as_copy:
        return (
            f"This database is from a hub {origin}. As a copy, at {place}, it gets an id of its "
            "own, and every destination is paused: what waits is sent after `hub resume` alone. "
            "What runs on it now has to be stopped. Go on?"
        )
    return (
        f"This database is from a hub {origin}. As the same hub, moved to {place}, it goes on and "
        "sends what waits: nothing may run on the old database any more. Go on?"
    )


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
