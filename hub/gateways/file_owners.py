"""Owners of the hub's files: what root makes is its folder's owner's, and what is not is told.

Files are made for their owner alone. One that a command makes as root (`sudo hub check`) could not
be opened by the hub's own user any more.
"""

import errno
import os
import pwd
import shlex
import stat
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from itertools import islice
from pathlib import Path

_MOST_LOOKED_AT = 1000
_ROOT = 0


def make_in_folder(path: str, flags: int, mode: int) -> int:
    """Make a file and open it; if root makes it, it belongs to its folder's owner.

    Root opens the folder first: that the file lies in, and whose owner it gets, are the same then,
    whatever takes the folder's name meanwhile. Its owner could have made the file too.

    Raises:
        FileExistsError: there is something of that name, a link too.
        OSError: it cannot be made.
    """
    flags |= os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    if os.geteuid() != _ROOT:
        return os.open(path, flags, mode)
    folder = os.open(os.path.dirname(path) or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        made = os.open(os.path.basename(path), flags, mode, dir_fd=folder)
        _give(made, folder)
        return made
    finally:
        os.close(folder)


def open_made(path: str, flags: int) -> int:
    """Open a file that is there; root opens no other than a plain one of its folder's owner.

    That owner could have put a link to any file of the machine in its place, which root would write
    to.

    Raises:
        PermissionError: root may not write to it; the words say what to do.
        OSError: it cannot be opened.
    """
    flags |= os.O_CLOEXEC
    if os.geteuid() != _ROOT:
        return os.open(path, flags)
    harmless = flags & ~(os.O_CREAT | os.O_TRUNC) | os.O_NOFOLLOW | os.O_NONBLOCK
    with ExitStack() as folders, ExitStack() as files:
        folder = os.open(os.path.dirname(path) or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        folders.callback(os.close, folder)
        try:
            made = os.open(os.path.basename(path), harmless, dir_fd=folder)
        except OSError as error:
            if error.errno not in (errno.ELOOP, errno.ENXIO):
                raise
            raise _no_plain_file(path) from None
        files.callback(os.close, made)
        found, owner = os.fstat(made), os.fstat(folder).st_uid
        is_plain = stat.S_ISREG(found.st_mode) and found.st_nlink == 1
        if not is_plain or found.st_uid not in (_ROOT, owner):
            raise _no_plain_file(path)
        if flags & os.O_TRUNC:
            os.ftruncate(made, 0)
        files.pop_all()  # it stays open
        return made


def _no_plain_file(path: str) -> PermissionError:
    said = "root writes to no link: remove it, or run this as the owner of the folder"
    return PermissionError(errno.EPERM, said, path)


def make_folder_in_folder(path: Path, mode: int) -> None:
    """Make a folder, unless there is one; if root makes it, it belongs to its folder's owner.

    Raises:
        OSError: it cannot be made.
    """
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    folder = os.open(path.parent, flags)
    try:
        os.mkdir(path.name, mode, dir_fd=folder)
        if os.geteuid() == _ROOT:
            made = os.open(path.name, flags | os.O_NOFOLLOW, dir_fd=folder)
            try:
                # Another may be in its place by now, one of root's too: that one is not empty.
                if os.fstat(made).st_uid == _ROOT and not os.listdir(made):
                    _give(made, folder)
            finally:
                os.close(made)
    except FileExistsError as error:
        if not path.is_dir():
            raise FileExistsError(error.errno, error.strerror, str(path)) from error
    finally:
        os.close(folder)


def why_denied(path: str, said: str) -> str:
    """Return why a file may not be opened, with its owner and what to do; else what was `said`."""
    for one in (Path(path), Path(path).absolute().parent):
        if os.path.lexists(one):
            return foreign_sentence([one]) if _is_foreign(one, os.geteuid()) else said
    return said


def find_foreign(folder: Path, database: str | None) -> list[Path]:
    """Return what the hub's user cannot open: a folder, its content, and a database's files.

    That user is this process's own; to root it is the folder's owner.
    """
    groups: list[tuple[Path, Iterable[Path]]] = [(folder, (folder, *files_in(folder)))]
    if database is not None:
        groups.append((Path(database).absolute().parent, files_of(database)))
    found = [
        one
        for top, files in groups
        if os.path.exists(top)
        for one in files
        if _is_foreign(one, os.geteuid() or top.stat().st_uid)
    ]
    return list(dict.fromkeys(found))


def files_in(folder: Path) -> Iterable[Path]:
    """Return the first files and folders below a folder."""
    return islice(folder.rglob("*"), _MOST_LOOKED_AT)


def files_of(database: str) -> list[Path]:
    """Return the file of a database (SQLite), and those beside it."""
    file = Path(database).absolute()
    return [one for one in file.parent.glob("*") if one.name.startswith(file.name)]


def foreign_sentence(found: Sequence[Path]) -> str:
    """Return a sentence about files and folders of another owner, and what to do."""
    owners = sorted({_name(one.lstat().st_uid) for one in found})
    is_root = os.geteuid() == _ROOT
    user = _name(found[0].absolute().parent.stat().st_uid if is_root else os.geteuid())
    paths = " ".join(shlex.quote(str(one)) for one in found)
    verb, them = ("belongs", "it") if len(found) == 1 else ("belong", "them")
    return (
        f"{', '.join(map(str, found))} {verb} to {' and '.join(owners)}, and the hub runs as "
        f"{user}, who may not open {them}: run `chown {user}: {paths}` as root, and the hub's "
        f"commands as {user}"
    )


def _give(made: int, folder: int) -> None:
    owner = os.fstat(folder)
    if owner.st_uid != _ROOT:
        os.fchown(made, owner.st_uid, owner.st_gid)


def _is_foreign(path: Path, user: int) -> bool:
    """Return whether a file belongs to another user, and may not be read and written by `user`."""
    try:
        found = path.lstat()
    except OSError:
        return False
    if user in (_ROOT, found.st_uid) or stat.S_ISLNK(found.st_mode):
        return False
    if os.geteuid() == user:
        wanted = os.R_OK | os.W_OK | (os.X_OK if stat.S_ISDIR(found.st_mode) else 0)
        return not os.access(path, wanted, effective_ids=os.access in os.supports_effective_ids)
    return not any(found.st_mode & bits == bits for bits in (0o060, 0o006))


def _name(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:  # in a container whose user has no name
        return str(user)
