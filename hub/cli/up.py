"""Command `hub up`: all processes on one machine, with embedded Redis unless one is configured."""

import http.client
import os
import shutil
import socket
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import click
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, OperationalError

from hub.bootstrap import read_configuration, refuse_copy, warn_of_files
from hub.cli.context import json_logs
from hub.core.auth.users import has_accounts, invite_first
from hub.core.errors import ConfigError
from hub.gateways.database.engine import open_database
from hub.gateways.database.migrations import upgrade
from hub.gateways.database.sqlite import file_of
from hub.gateways.embedded_redis import (
    LONGEST_SOCKET_PATH_BYTES,
    EmbeddedServer,
    choose_server,
    is_answering,
    rotate_log,
    server_command,
)
from hub.gateways.lock_file import only_one
from hub.gateways.private_files import make_private_folder, private_opener
from hub.process.child import CommandProcess, can_die_with_parent
from hub.process.supervisor import Program, Supervisor
from hub.settings import Settings, load_settings

EXAMPLE = Path(__file__).parents[2] / "hub.example.yaml"
# How long a server that is tried may take to load its data.
ANSWERS_WITHIN_S = 30.0
FIRST_ACCOUNT = (
    "\nhub: nobody can sign in yet; make your account, within 24 hours, at {}/welcome/{}"
)
NO_ACCOUNT = (
    "\nhub: nobody can sign in yet; `hub users add NAME --role admin --personal` prints a link, "
    "which is kept out of logs"
)


@click.command()
@json_logs
def up() -> None:
    """Run everything on this machine: the stores, web, worker and clock."""
    settings = load_settings(os.environ)
    warn_of_files(settings)
    with only_one(settings.var_dir):
        _provide_configuration(settings.config_path)
        read_configuration(settings, os.environ)
        _refuse_taken_port(settings)
        stages = [[_redis(settings)]] if settings.redis_embedded else []
        _migrate(settings.database_url)
        refuse_copy(settings)
        stages.append(_processes(settings, _first_account(settings)))
        if not can_die_with_parent():
            _say("on this system, killing this process leaves web, worker and clock running")
        code = Supervisor(stages, _say).run()
        _leave_one_file(settings.database_url)
        sys.exit(code)


def _say(line: str) -> None:
    click.echo(f"hub: {line}", err=True)


def _provide_configuration(path: Path) -> None:
    if not path.exists() and EXAMPLE.exists():
        with open(path, "x", opener=private_opener) as file:  # secrets may come to stand in it
            file.write(EXAMPLE.read_text("utf-8"))
        _say(f"there was no {path}: made one from {EXAMPLE.name}; edit it as you like")


def _refuse_taken_port(settings: Settings) -> None:
    with socket.socket() as candidate:
        candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            candidate.bind((settings.bind_host, settings.port))
        except OSError as error:
            raise ConfigError([settings.port_fault(error)]) from error


def _migrate(url: str) -> None:
    try:
        upgrade(url)
    except OperationalError as error:
        raise click.ClickException(f"DATABASE_URL: the database says: {error.orig}") from error


def _leave_one_file(url: str) -> None:
    """Open and close a database in a file: processes that ended at once left its log beside it."""
    if file_of(url) is not None:
        database = open_database(url, pool_size=1)
        with suppress(DBAPIError), database.read() as connection:
            connection.execute(text("SELECT 1 FROM alembic_version"))
        database.engine.dispose()


def _first_account(settings: Settings) -> str:
    """Return a sentence with the link that creates the first account; empty if one exists.

    With `LOG_FORMAT=json` what is printed is collected and kept, so it names a command instead.
    """
    database = open_database(settings.database_url, pool_size=1)
    with database.write() as connection:
        if settings.log_format == "json":
            sentence = "" if has_accounts(connection) else NO_ACCOUNT
        else:
            secret = invite_first(connection, now=datetime.now(UTC))
            sentence = FIRST_ACCOUNT.format(_address(settings), secret) if secret else ""
    database.engine.dispose()
    return sentence


def _address(settings: Settings) -> str:
    return settings.public_url or f"http://127.0.0.1:{settings.port}"


def _processes(settings: Settings, first_account: str) -> list[Program]:
    web = Program(
        "web",
        _hub("web"),
        is_ready=lambda: _is_healthy(settings.port),
        announcement=f"ready on {_address(settings)}; next, in another terminal: "
        f"{_command()} send stripe payment_intent.succeeded{first_account}",
    )
    return [web, Program("worker", _hub("worker")), Program("clock", _hub("clock"))]


def _redis(settings: Settings) -> Program:
    socket_path = settings.var_dir / "redis.sock"
    if len(os.fsencode(socket_path)) > LONGEST_SOCKET_PATH_BYTES:
        fault = f"REDIS_URL: needed, the path {socket_path} is too long for a socket"
        raise ConfigError([fault])
    folder = settings.var_dir / "redis"
    make_private_folder(folder)
    rotate_log(folder)

    def is_able(server: EmbeddedServer) -> bool:
        return _answers_once(server_command(server, folder, socket_path), socket_path)

    command = server_command(choose_server(folder, is_able, _say), folder, socket_path)
    return Program("redis", command, lambda: is_answering(socket_path))


def _answers_once(command: Sequence[str], socket_path: Path) -> bool:
    """Start a server and stop it again; return whether it answered, with its data loaded."""
    try:
        process = CommandProcess(command)
    except OSError:
        return False
    until_s = time.monotonic() + ANSWERS_WITHIN_S
    try:
        while process.poll() is None and time.monotonic() < until_s:
            if is_answering(socket_path):
                return True
            time.sleep(0.02)
        return False
    finally:
        process.terminate()
        while process.poll() is None and time.monotonic() < until_s:
            time.sleep(0.02)
        process.end()


def _hub(name: str) -> Sequence[str]:
    return [sys.executable, "-m", "hub", name]


def _command() -> str:
    """Return the command for `hub`: the bare name if the shell finds it, else a relative path."""
    beside = Path(sys.executable).with_name("hub")
    if shutil.which("hub") == str(beside) or not beside.exists():
        return "hub"
    return os.path.relpath(beside)


def _is_healthy(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
