"""Lock of the operating system on a file (`flock`): it ends with the process that holds it."""

import os
from fcntl import LOCK_EX, LOCK_NB, LOCK_UN, flock
from weakref import finalize


class LockFile:
    """Lock on a file of its own, which is made if it is not there.

    Two objects for one file exclude each other, in one process too. The file is closed with the
    object at the latest.

    Raises:
        OSError: the file can be neither opened nor made.
    """

    def __init__(self, path: str) -> None:
        # To be read is enough for a lock, so that an administrator's command may have made it.
        self._number = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
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
