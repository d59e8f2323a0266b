"""Statements over a list of ids: PostgreSQL takes it as one array, and many of them together."""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    Delete,
    Executable,
    Uuid,
    any_,
    bindparam,
    delete,
)
from sqlalchemy.dialects.postgresql import ARRAY

from hub.core.pipeline import Answer, pipeline_of

_ARRAY = bindparam("ids", type_=ARRAY(Uuid))
_LIST: BindParameter[Any] = bindparam("ids", expanding=True)


class ByIds:
    """Statement over rows that a list of ids names, built once for each database.

    `build` gets a function that makes the condition that a column has one of the ids.
    """

    def __init__(self, build: Callable[[Callable[[Any], ColumnElement[bool]]], Executable]) -> None:
        self._postgresql = build(lambda one: one == any_(_ARRAY))
        self._sqlite = build(lambda one: one.in_(_LIST))

    def add(self, connection: Connection, ids: Sequence[UUID]) -> Answer:
        """Add the statement to the pipeline of a connection: it is sent at the latest by commit."""
        is_postgresql = connection.dialect.name == "postgresql"
        statement = self._postgresql if is_postgresql else self._sqlite
        return pipeline_of(connection).add(statement, {"ids": ids})


@cache
def deletion(column: Any) -> ByIds:
    """Return the deletion of the rows of a column's table that have one of the ids in it."""

    def build(among: Callable[[Any], ColumnElement[bool]]) -> Delete:
        return delete(column.class_).where(among(column))

    return ByIds(build)
