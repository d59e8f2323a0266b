"""What a database error means: the database is gone, it is busy, or one row cannot be taken."""

from enum import Enum, auto

from sqlalchemy.exc import DBAPIError


class DatabaseErrorKind(Enum):
    UNAVAILABLE = auto()  # nothing works: wait for it
    RETRYABLE = auto()  # the same may work in a moment: a deadlock, a lock that was held too long
    REJECTED_ROW = auto()  # this statement never will: its neighbours may


_GONE_CLASSES = ("08", "53", "57")  # connection, resources, operator intervention
_BUSY_STATES = ("55P03", "57014")  # lock not available, statement timed out
_BUSY_CLASSES = ("40",)  # transaction rolled back: deadlock, serialization


def classify(error: DBAPIError) -> DatabaseErrorKind:
    """Return what an error means, by its SQLSTATE (SQLite has none, only words)."""
    if error.connection_invalidated:
        return DatabaseErrorKind.UNAVAILABLE
    state = getattr(error.orig, "sqlstate", None)
    if state is None:
        return _without_state(error)
    if state in _BUSY_STATES or state.startswith(_BUSY_CLASSES):
        return DatabaseErrorKind.RETRYABLE
    return (
        DatabaseErrorKind.UNAVAILABLE
        if state.startswith(_GONE_CLASSES)
        else DatabaseErrorKind.REJECTED_ROW
    )


def _without_state(error: DBAPIError) -> DatabaseErrorKind:
    words = str(error.orig)
    if "locked" in words or "busy" in words:
        return DatabaseErrorKind.RETRYABLE
    return (
        DatabaseErrorKind.UNAVAILABLE
        if type(error.orig).__name__ == "OperationalError"
        else DatabaseErrorKind.REJECTED_ROW
    )
