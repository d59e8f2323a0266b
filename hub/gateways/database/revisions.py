"""Which revision of the schema a database has, and which is the newest; told without Alembic."""

from functools import cache
from pathlib import Path

from sqlalchemy import Connection, inspect, text

MIGRATIONS = Path(__file__).parents[3] / "migrations"
_TABLE = "alembic_version"


def revisions(connection: Connection) -> tuple[str | None, str | None]:
    """Return the schema's revision and the newest one that there is."""
    if not inspect(connection).has_table(_TABLE):
        return None, _newest()
    current = connection.execute(text(f"SELECT version_num FROM {_TABLE}"))  # noqa: S608
    return current.scalar_one_or_none(), _newest()


@cache
def _newest() -> str | None:
    """A migration's file name begins with its revision, and they are numbered."""
    names = (path.name for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))
    return max((name.partition("_")[0] for name in names), default=None)
