"""Commands `hub users`: accounts of the dashboard; usable before the first sign-in."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import click
from sqlalchemy import Connection

from adapters.contract.fields import rfc3339
from hub.cli.context import actor, now, open_hub, open_settings
from hub.cli.tables import print_json, print_rows
from hub.core.auth import throttle
from hub.core.auth import users as accounts
from hub.core.auth.accounts import UserAccount
from hub.core.auth.passwords import password_fault
from hub.core.auth.roles import Role
from hub.core.errors import Refused
from hub.core.hub import Hub
from hub.gateways.password_hashing import hash_password
from hub.settings import Settings

MOST_READ = 4096

as_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def users() -> None:
    """Manage the accounts that sign in to the dashboard, and their roles."""


@users.command("list")
@as_json_option
def list_users(*, as_json: bool) -> None:
    """List the accounts."""
    with open_hub(open_settings()).store.read() as connection:
        found = accounts.list_all(connection)
        waits = throttle.waiting(connection, [user.name for user in found], now=now())
    rows = [_row(user) | {"waits_until": _moment(waits.get(user.name))} for user in found]
    columns = ("name", "role", "sees_personal", "state", "second_factor", "signed_in_at")
    print_rows(rows, columns, as_json=as_json)


@users.command()
@click.argument("name")
@click.option("--role", type=click.Choice([role.value for role in Role]), required=True)
@click.option(
    "--personal/--no-personal", default=False, help="May see names, addresses and numbers."
)
@click.option("--password-stdin", is_flag=True, help="Take the password from standard input.")
@as_json_option
def add(name: str, role: str, *, personal: bool, password_stdin: bool, as_json: bool) -> None:
    """Add an account; print the link by which its owner sets a password."""
    settings = open_settings()
    hub = open_hub(settings)
    name = accounts.wanted_name(name)
    hashed = _hash_of_stdin(hub, name) if password_stdin else None
    link = None
    with hub.store.write() as connection:
        accounts.add(
            connection, name, Role(role), password_hash=hashed, sees_personal=personal,
            actor=actor(), now=now(),
        )  # fmt: skip
        user = accounts.named(connection, name)
        if hashed is None:
            link = _link(settings, accounts.invite(connection, user, actor=actor(), now=now()))
    _tell(user, "added", link, as_json=as_json)


@users.command()
@click.argument("name")
@click.option("--role", type=click.Choice([role.value for role in Role]))
@click.option(
    "--personal/--no-personal", default=None, help="May see names, addresses and numbers."
)
@as_json_option
def change(name: str, *, role: str | None, personal: bool | None, as_json: bool) -> None:
    """Give or take a role, or the right to personal data; it counts at once."""
    if role is None and personal is None:
        raise Refused("say what is to change: --role, --personal or --no-personal")
    with _user(name) as (connection, user):
        wanted = Role(role) if role else user.role
        sees_personal = user.sees_personal if personal is None else personal
        ends_link = accounts.change(
            connection, user, role=wanted, sees_personal=sees_personal, actor=actor(), now=now()
        )
        user = accounts.named(connection, name)
    link = "; the link that was made for it is good no more, `hub users reset` makes another"
    _tell(user, f"changed{link if ends_link else ''}", as_json=as_json)


@users.command()
@click.argument("name")
@as_json_option
def disable(name: str, *, as_json: bool) -> None:
    """Let somebody sign in no more, and end all sessions."""
    with _user(name) as (connection, user):
        accounts.disable(connection, user, actor=actor(), now=now())
    _tell(user, "disabled", as_json=as_json)


@users.command()
@click.argument("name")
@as_json_option
def enable(name: str, *, as_json: bool) -> None:
    """Let somebody sign in again, who was disabled."""
    with _user(name) as (connection, user):
        accounts.enable(connection, user, actor=actor(), now=now())
    _tell(user, "enabled", as_json=as_json)


@users.command()
@click.argument("name")
@as_json_option
def reset(name: str, *, as_json: bool) -> None:
    """Take password and second factor away, end all sessions, and print a link for new ones."""
    with _user(name) as (connection, user):
        secret = accounts.reset(connection, user, actor=actor(), now=now())
    _tell(user, "reset", _link(open_settings(), secret), as_json=as_json)


@users.command()
@click.argument("name")
@as_json_option
def unlock(name: str, *, as_json: bool) -> None:
    """Let somebody try to sign in at once, however many tries have failed."""
    with _user(name) as (connection, user):
        accounts.unlock(connection, user, actor=actor(), now=now())
    _tell(user, "may try again at once", as_json=as_json)


@contextmanager
def _user(name: str) -> Iterator[tuple[Connection, UserAccount]]:
    with open_hub(open_settings()).store.write() as connection:
        yield connection, accounts.named(connection, name)


def _hash_of_stdin(hub: Hub, name: str) -> str:
    password = sys.stdin.readline(MOST_READ).rstrip("\r\n")
    configuration = hub.configuration
    least = configuration.users.password_min
    fault = password_fault(password, least=least, name=name, site=configuration.site.name)
    if fault:
        raise Refused(fault)
    return hash_password(password)


def _link(settings: Settings, secret: str) -> str:
    return f"{settings.public_url or f'http://127.0.0.1:{settings.port}'}/welcome/{secret}"


def _tell(user: UserAccount, what: str, link: str | None = None, *, as_json: bool) -> None:
    """Print the link alone to standard output, for a program; all else to standard error."""
    if as_json:
        print_json({"id": user.id, "name": user.name, "role": user.role, "link": link})
        return
    click.echo(f"{user.name}: {what}", err=True)
    if link:
        click.echo("the link to set a password, good once and for 48 hours:", err=True)
        click.echo(link)


def _row(user: UserAccount) -> dict[str, Any]:
    invited = "can sign in" if user.has_password else "invited"
    return {
        "id": str(user.id),
        "name": user.name,
        "role": user.role,
        "sees_personal": user.sees_personal,
        "state": "disabled" if user.disabled_at else invited,
        "second_factor": user.has_second_factor,
        "created_at": _moment(user.created_at),
        "signed_in_at": _moment(user.signed_in_at),
        "disabled_at": _moment(user.disabled_at),
    }


def _moment(at: datetime | None) -> str | None:
    return None if at is None else rfc3339(at)
