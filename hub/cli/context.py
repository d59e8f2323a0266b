"""Command context: settings, hub, actor, confirmation and wake-ups, shared by all commands."""

import getpass
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import wraps
from typing import Any
from uuid import UUID

import click
from redis.exceptions import RedisError
from sqlalchemy.exc import DBAPIError

from hub.bootstrap import create_hub, find_names
from hub.core.delivery.sweep import destinations_to_wake
from hub.core.errors import HubError, NotFound, Refused
from hub.core.hub import Hub
from hub.core.ids import parse_id
from hub.core.ports import EVENTS
from hub.gateways.database.migrations import revisions
from hub.gateways.logs import configure_logs
from hub.gateways.redis_queue import WakeUpQueues, connect
from hub.settings import Settings, load_settings


def open_settings() -> Settings:
    """Return the settings, and configure logging from them.

    Raises:
        ConfigError: environment variables are wrong; all of them are listed.
    """
    settings = load_settings(os.environ)
    configure_logs(settings.log_level, settings.log_format)
    return settings


def open_hub(settings: Settings) -> Hub:
    """Return the hub, with a database that answers and has the newest schema.

    Raises:
        HubError: the database does not answer or is not migrated; the message says what to do.
        ConfigError: `hub.yaml` has errors; all of them are listed.
    """
    hub = create_hub(settings, os.environ)
    try:
        with hub.store.read() as connection:
            current, newest = revisions(connection)
    except DBAPIError as error:
        cause = str(error.orig).strip().splitlines() or [type(error.orig).__name__]
        raise HubError(f"the database does not answer: {cause[0]}") from error
    if current != newest:
        raise HubError("the database does not have this version's tables: run `hub db upgrade`")
    return hub


def wanted_id(text: str) -> UUID:
    """Return the id that a text holds.

    Raises:
        NotFound: the text is not an id.
    """
    found = parse_id(text)
    if found is None:
        raise NotFound(f"{text} is not an id: `hub events` and `hub deliveries` list them")
    return found


def actor() -> str:
    """Return the actor for the audit log: `cli:` and the system user."""
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):  # in a container whose user has no name
        return f"cli:uid {os.getuid()}"


def now() -> datetime:
    """Return the current time, aware, in UTC."""
    return datetime.now(UTC)


def agreed(question: str, *, yes: bool) -> None:
    """Ask for confirmation, unless it was given with `--yes`.

    Raises:
        Abort: the answer was no, or the question was interrupted at a terminal.
        Refused: no answer came, and standard input is no terminal.
    """
    if yes:
        return
    try:
        answer = click.confirm(question, err=True)
    except click.Abort as error:
        if sys.stdin.isatty():
            raise
        click.echo(err=True)
        raise Refused("nobody answered; --yes answers beforehand") from error
    if not answer:
        raise click.Abort


def wake(settings: Settings, hub: Hub) -> None:
    """Send a wake-up for all due work; without Redis, the sweep finds the work within seconds."""
    with suppress(RedisError, DBAPIError):
        with hub.store.read() as connection:
            due = destinations_to_wake(connection, hub, now=now())
        if names := find_names(settings, hub.configuration, hub.store):
            WakeUpQueues(connect(settings.redis_url), names).wake(due | {EVENTS})


def json_logs(command: Callable[..., None]) -> Callable[..., None]:
    """Add an option `--json` to a command, for JSON logs of its process and child processes."""

    @click.option("--json", "as_json", is_flag=True, help="Log in JSON lines (LOG_FORMAT=json).")
    @wraps(command)
    def with_logs(*, as_json: bool, **given: Any) -> None:
        if as_json:
            os.environ["LOG_FORMAT"] = "json"
        command(**given)

    return with_logs
