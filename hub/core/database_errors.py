"""Classification of database errors: unavailable, retryable, or one rejected row."""

from enum import Enum, auto

from sqlalchemy.exc import DBAPIError


class DatabaseErrorKind(Enum):
    # No statement works: wait for the database.
    UNAVAILABLE = auto()
    # The same statement may work in a moment: a deadlock, or a lock that was held too long.
    RETRYABLE = auto()
    # This statement never works; other rows may.
    REJECTED_ROW = auto()


# SQLSTATE classes: connection, resources, operator intervention.
_GONE_CLASSES = ("08", "53", "57")
# Lock not available, statement timed out; and a prepared statement whose table was migrated, which
# is prepared anew the next time.
_BUSY_STATES = ("55P03", "57014", "0A000")
# Transaction rolled back: deadlock, serialization.
_BUSY_CLASSES = ("40",)


def classify(error: DBAPIError) -> DatabaseErrorKind:
    """Return the kind of a database error, by its SQLSTATE; on SQLite by its message."""
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
