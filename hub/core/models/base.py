"""Base of all tables: the registry, and column types that are the same on both databases."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, Connection, DateTime, Float, LargeBinary, MetaData, Text, Uuid, cast
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import DeclarativeBase, registry
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator


class UtcDateTime(TypeDecorator[datetime]):
    """Column type of an aware UTC time. SQLite stores it as sortable text without a zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None or dialect.name != "sqlite":
            return value
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


# Column type of JSON; values must have passed `adapters.contract.strict_json.storable`.
Json = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


class database_now(FunctionElement[datetime]):
    """Current time of the database's clock, the only clock for leases and schedules."""

    type = UtcDateTime()
    inherit_cache = True


@compiles(database_now, "postgresql")
def _postgresql_now(element: Any, compiler: Any, **_: Any) -> str:
    # Not clock_timestamp(): it is volatile, so no index would be used.
    return "statement_timestamp()"


@compiles(database_now, "sqlite")
def _sqlite_now(element: Any, compiler: Any, **_: Any) -> str:
    return "strftime('%Y-%m-%d %H:%M:%f000', 'now')"


class database_later(FunctionElement[datetime]):
    """Time of the database's clock some seconds from now, or ago if `seconds` is negative."""

    type = UtcDateTime()
    inherit_cache = True

    def __init__(self, seconds: Any) -> None:
        super().__init__(cast(seconds, Float))


@compiles(database_later, "postgresql")
def _postgresql_later(element: Any, compiler: Any, **options: Any) -> str:
    seconds = compiler.process(element.clauses, **options)
    return f"(statement_timestamp() + make_interval(secs => {seconds}))"


@compiles(database_later, "sqlite")
def _sqlite_later(element: Any, compiler: Any, **options: Any) -> str:
    seconds = compiler.process(element.clauses, **options)
    return f"strftime('%Y-%m-%d %H:%M:%f000', 'now', {seconds} || ' seconds')"


class Base(DeclarativeBase):
    """Base class of the tables. Its registry is explicit, as Flask-SQLAlchemy 3.1 requires."""

    registry = registry(
        metadata=MetaData(
            naming_convention={
                "pk": "pk_%(table_name)s",
                "fk": "fk_%(table_name)s_%(column_0_name)s",
                "uq": "uq_%(table_name)s_%(column_0_N_name)s",
                "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            }
        ),
        type_annotation_map={
            UUID: Uuid,
            str: Text,
            bytes: LargeBinary,
            datetime: UtcDateTime,
            dict[str, Any]: Json,
        },
    )


def insert_if_new(connection: Connection, table: type[Base]) -> Any:
    """Return an INSERT into a table that does nothing on conflict, for either database."""
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    return insert(table).on_conflict_do_nothing()
