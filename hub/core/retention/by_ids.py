"""Statements over a list of ids: PostgreSQL takes it as one array, and many of them together."""

from collections.abc import Callable, Sequence
from typing import Any, cast
from uuid import UUID

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    Executable,
    Select,
    Text,
    Uuid,
    any_,
    bindparam,
    delete,
    literal,
    literal_column,
    select,
)
from sqlalchemy import cast as sql_cast
from sqlalchemy.dialects.postgresql import ARRAY

from hub.core.pipeline import Answer, pipeline_of

_LIST: BindParameter[Any] = bindparam("ids", expanding=True)


class ByIds:
    """Statement over rows that a list of ids names, built once for each database.

    `build` gets a function that makes the condition that a column has one of the ids.
    """

    def __init__(self, build: Callable[[Callable[[Any], ColumnElement[bool]]], Executable]) -> None:
        self._postgresql = build(lambda one: one == any_(_array("ids")))
        self._sqlite = build(lambda one: one.in_(_LIST))

    def add(self, connection: Connection, ids: Sequence[UUID]) -> Answer:
        """Add the statement to the pipeline of a connection: it is sent at the latest by commit."""
        pipeline = pipeline_of(connection)
        if connection.dialect.name != "postgresql":
            return pipeline.add(self._sqlite, {"ids": ids})
        return pipeline.add(self._postgresql, {"ids": _as_text(ids)})


def is_one_of(connection: Connection, column: Any, ids: Sequence[UUID]) -> ColumnElement[bool]:
    """Return the condition that a column has one of the ids, for a statement built each time."""
    if connection.dialect.name != "postgresql":
        return cast("ColumnElement[bool]", column.in_(ids))
    is_it: ColumnElement[bool] = column == any_(sql_cast(literal(_as_text(ids), Text), ARRAY(Uuid)))
    return is_it


class Deletions:
    """Deletions by lists of ids: one statement of PostgreSQL, one after the other on SQLite.

    A statement of its own is a message, and on a busy machine a wait. All of them see the rows as
    they were before; foreign keys are checked when all are done.
    """

    def __init__(self, *named: tuple[Any, str], where: Any = None) -> None:
        """Build them: of each column with the name of its list, those first that refer to others.

        `where`: what is true of all rows that go.
        """
        conditions = () if where is None else (where,)
        self._sqlite = [
            (delete(one.class_).where(one.in_(_LIST), *conditions), name) for one, name in named
        ]
        self._postgresql: Select[Any] = select(literal_column("1"))
        for n, (one, name) in enumerate(named):
            gone = delete(one.class_).where(one == any_(_array(name)), *conditions)
            self._postgresql = self._postgresql.add_cte(gone.cte(f"gone_{n}"))

    def add(self, connection: Connection, **ids: Sequence[UUID]) -> None:
        """Add the deletions to the pipeline of a connection, for these lists."""
        pipeline = pipeline_of(connection)
        if connection.dialect.name == "postgresql":
            values = {name: _as_text(some) for name, some in ids.items()}
            pipeline.add(self._postgresql, values)
            return
        for statement, name in self._sqlite:
            pipeline.add(statement, {"ids": ids[name]})


def _array(name: str) -> ColumnElement[Any]:
    """Return an array of ids as a parameter, sent as text.

    The driver takes ten times as long to write an array, element by element.
    """
    return sql_cast(bindparam(name, type_=Text), ARRAY(Uuid))


def _as_text(ids: Sequence[UUID]) -> str:
    return f"{{{','.join([one.hex for one in ids])}}}"
