"""Locks of the operating system on files (`flock`): they end with the process that holds them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from fcntl import LOCK_EX, LOCK_NB, LOCK_UN, flock
from pathlib import Path
from weakref import finalize

from hub.core.errors import Refused
from hub.gateways.private_files import make_private_folder, private_opener


class LockFile:
    """Lock on a file of its own, which is made if it is not there.

    Two objects for one file exclude each other, in one process too. The file is closed with the
    object at the latest.

    Raises:
        OSError: the file can be neither opened nor made.
    """

    def __init__(self, path: str) -> None:
        self._number = private_opener(path, os.O_RDONLY | os.O_CREAT)
        self._close = finalize(self, os.close, self._number)
        self._close.atexit = False

    def lock(self) -> None:
        """Wait for the lock, however long it takes."""
        flock(self._number, LOCK_EX)

    def lock_at_once(self) -> bool:
        """Lock if nobody else has; return whether it is locked now."""
        try:
            flock(self._number, LOCK_EX | LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def unlock(self) -> None:
        """Release the lock."""
        flock(self._number, LOCK_UN)

    def close(self) -> None:
        """Close the file, and so release the lock, unless a fork holds it too."""
        self._close()


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Hold an exclusive lock on `folder` for this process while the block runs.

    Raises:
        Refused: another process holds the lock. The message has its process id.
    """
    make_private_folder(folder)
    with open(folder / "hub.lock", "a+", opener=private_opener) as file:
        try:
            flock(file, LOCK_EX | LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            raise Refused(
                f"the hub is already running on {folder} (process {holder}): stop it first, "
                "or start this one in another directory"
            ) from error
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
