"""Private files of the hub: made for their owner alone, whatever makes them and whatever its umask.

They may contain personal data and keys. `find_open` names those that others may look into.
"""

import os
import shlex
import stat
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from hub.gateways.file_owners import (
    files_in,
    files_of,
    make_folder_in_folder,
    make_in_folder,
    open_made,
    why_denied,
)

FILE_MODE, FOLDER_MODE = 0o600, 0o700
_OTHERS = 0o077


def make_private_folder(folder: Path) -> None:
    """Make a folder, and those above it that are missing, with mode 0700.

    Raises:
        OSError: it cannot be made.
    """
    if not folder.is_dir():
        make_private_folder(folder.parent)
        make_folder_in_folder(folder, FOLDER_MODE)


def make_private_file(path: Path) -> None:
    """Make an empty file with mode 0600, unless there is one already: that one is not opened.

    Opening and closing a file ends this process's POSIX locks on it, SQLite's too
    (https://www.sqlite.org/howtocorrupt.html#_posix_advisory_locks_canceled_by_a_separate_thread_doing_close_).

    Raises:
        OSError: it cannot be made.
    """
    with suppress(FileExistsError):
        os.close(private_opener(str(path), os.O_RDONLY | os.O_CREAT | os.O_EXCL))


def private_opener(path: str, flags: int) -> int:
    """Open a file, as the `opener` of `open`; one that it makes has mode 0600.

    Raises:
        PermissionError: it may not be opened; its words name the owner, and say what to do.
    """
    try:
        if flags & os.O_CREAT:
            try:
                return make_in_folder(path, flags, FILE_MODE)
            except FileExistsError:
                if flags & os.O_EXCL:
                    raise
                return open_made(path, flags)
        return os.open(path, flags | os.O_CLOEXEC, FILE_MODE)
    except PermissionError as error:
        said = why_denied(path, error.strerror or "it may not be opened")
        raise PermissionError(error.errno, said, path) from error


def find_open(folder: Path, database: str | None) -> list[Path]:
    """Return what others than its owner may look into: a folder, its content, a database's files.

    `database` is the path of a SQLite file. Sockets are left out: their folder decides.
    """
    found = [folder, *files_in(folder)]
    if database is not None:
        found += files_of(database)
    return [one for one in dict.fromkeys(found) if _is_open(one)]


def open_sentence(found: Sequence[Path]) -> str:
    """Return a sentence about files and folders that others may look into, and what to do."""
    folders = [one for one in found if one.is_dir()]
    groups = ((FOLDER_MODE, folders), (FILE_MODE, [one for one in found if one not in folders]))
    commands = [
        f"`chmod {mode:o} {' '.join(shlex.quote(str(one)) for one in paths)}`"
        for mode, paths in groups
        if paths
    ]
    return (
        "HUB_VAR: other users of this machine can look into what the hub keeps, where people's "
        f"data and keys may be: run {' and '.join(commands)}"
    )


def _is_open(path: Path) -> bool:
    try:
        mode = path.lstat().st_mode
    except OSError:
        return False
    return bool(mode & _OTHERS) and (stat.S_ISREG(mode) or stat.S_ISDIR(mode))
