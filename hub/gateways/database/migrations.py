"""Schema migrations: the revision that a database has, the newest there is, and the way between.

Alembic is imported by what changes the schema alone: it is 10 MB in memory, and every process asks
for the revision.
"""

from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, create_engine, inspect, text
from sqlalchemy.pool import NullPool

from hub.gateways.database.engine import engine_options, make_folder, prepare_sqlite

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


def upgrade(url: str, revision: str = "head") -> None:
    """Bring the schema up to a revision."""
    from alembic import command

    _migrate(url, lambda config: command.upgrade(config, revision))


def downgrade(url: str, revision: str) -> None:
    """Take the schema down to a revision (`base` for nothing at all)."""
    from alembic import command

    _migrate(url, lambda config: command.downgrade(config, revision))


def _migrate(url: str, run: Any) -> None:
    from alembic.config import Config

    make_folder(url)
    options = engine_options(url) | {"poolclass": NullPool}
    for pool_option in ("pool_size", "max_overflow", "pool_timeout", "pool_use_lifo"):
        options.pop(pool_option, None)
    engine = create_engine(url, **options)
    if engine.dialect.name == "sqlite":
        prepare_sqlite(engine)
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        run(config)
    engine.dispose()
