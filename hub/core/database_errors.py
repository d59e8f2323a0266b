"""What a database error means: the database is gone, it is busy, or one row cannot be taken."""

from enum import Enum, auto

from sqlalchemy.exc import DBAPIError


class Trouble(Enum):
    GONE = auto()  # nothing works: wait for it
    BUSY = auto()  # the same may work in a moment: a deadlock, a lock that was held too long
    ROW = auto()  # this statement never will: its neighbours may


_GONE_CLASSES = ("08", "53", "57")  # connection, resources, operator intervention
_BUSY_STATES = ("55P03", "57014")  # lock not available, statement timed out
_BUSY_CLASSES = ("40",)  # transaction rolled back: deadlock, serialization


def trouble_of(error: DBAPIError) -> Trouble:
    """Return what an error means, by its SQLSTATE (SQLite has none, only words)."""
    if error.connection_invalidated:
        return Trouble.GONE
    state = getattr(error.orig, "sqlstate", None)
    if state is None:
        return _without_state(error)
    if state in _BUSY_STATES or state.startswith(_BUSY_CLASSES):
        return Trouble.BUSY
    return Trouble.GONE if state.startswith(_GONE_CLASSES) else Trouble.ROW


def _without_state(error: DBAPIError) -> Trouble:
    words = str(error.orig)
    if "locked" in words or "busy" in words:
        return Trouble.BUSY
    return Trouble.GONE if type(error.orig).__name__ == "OperationalError" else Trouble.ROW
