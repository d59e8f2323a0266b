"""The schema, up and down. Only what changes it imports this: Alembic is 10 MB in memory."""

from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from hub.gateways.database.engine import engine_options, make_folder, prepare_sqlite
from hub.gateways.database.revisions import MIGRATIONS


def upgrade(url: str, revision: str = "head") -> None:
    """Bring the schema up to a revision."""
    _migrate(url, lambda config: command.upgrade(config, revision))


def downgrade(url: str, revision: str) -> None:
    """Take the schema down to a revision (`base` for nothing at all)."""
    _migrate(url, lambda config: command.downgrade(config, revision))


def _migrate(url: str, run: Any) -> None:
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
