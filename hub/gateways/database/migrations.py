"""Schema migrations: the current revision, the newest revision, upgrade and downgrade.

Alembic is imported only by functions that change the schema: it takes 10 MB of memory, and every
process asks for the revision.
"""

from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, create_engine, inspect, text
from sqlalchemy.pool import NullPool

from hub.gateways.database.engine import engine_options, make_folder
from hub.gateways.database.sqlite import prepare_sqlite

MIGRATIONS = Path(__file__).parents[3] / "migrations"
_TABLE = "alembic_version"


def revisions(connection: Connection) -> tuple[str | None, str | None]:
    """Return the schema's current revision (None without tables) and the newest one."""
    if not inspect(connection).has_table(_TABLE):
        return None, _newest()
    current = connection.execute(text(f"SELECT version_num FROM {_TABLE}"))  # noqa: S608 - a constant
    return current.scalar_one_or_none(), _newest()


@cache
def _newest() -> str | None:
    """Return the newest revision: migrations are numbered, and file names begin with the number."""
    names = (path.name for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))
    return max((name.partition("_")[0] for name in names), default=None)


def upgrade(url: str, revision: str = "head") -> None:
    """Upgrade the schema to a revision."""
    from alembic import command

    _migrate(url, lambda config: command.upgrade(config, revision))


def downgrade(url: str, revision: str) -> None:
    """Downgrade the schema to a revision (`base`: an empty schema)."""
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
