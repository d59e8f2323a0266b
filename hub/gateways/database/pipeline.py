"""Pipelines of PostgreSQL: statements that SQLAlchemy has compiled once, sent by psycopg together.

SQLAlchemy reads a result as soon as it has executed a statement, so that each is a round trip. Here
psycopg's pipeline mode sends all that wait, and the answers are read afterwards. The transaction
begins with the first of them and, if any wait at its end, commits with the last.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, cast

import psycopg
from psycopg.rows import namedtuple_row
from sqlalchemy import ClauseElement, Connection, Engine, Executable, event
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.compiler import SQLCompiler

from hub.core.pipeline import OPTION, StatementForRows
from hub.gateways.database.bounded_connection import BoundedConnection

# More than there are hot statements.
MOST_COMPILED = 64
_CURSORS = "hub_cursors"


@dataclass(slots=True)
class _Sent:
    """Statement that waits to be sent, or was; with its answer once it has been read."""

    pipeline: "PostgresPipeline"
    statement: Executable
    values: Mapping[str, Any]
    is_read: bool = False
    rowcount_: int = 0
    rows: Sequence[Any] = ()

    @property
    def rowcount(self) -> int:
        if not self.is_read:
            self.pipeline.send()
        return self.rowcount_

    def all(self) -> Sequence[Any]:
        if not self.is_read:
            self.pipeline.send()
        return self.rows


@dataclass(slots=True)
class PostgresPipeline:
    """Pipeline of one transaction, on a connection in autocommit mode that has sent no BEGIN."""

    connection: Connection
    _waiting: list[_Sent] = field(default_factory=list)
    _has_begun: bool = False

    def add(self, statement: Executable, values: Mapping[str, Any]) -> _Sent:
        added = _Sent(self, statement, values)
        self._waiting.append(added)
        return added

    def add_rows(self, statement: StatementForRows, rows: Sequence[Mapping[str, Any]]) -> _Sent:
        return self.add(statement.at_once, {"rows": rows})

    def send(self, *, commit: bool = False) -> None:
        """Send what waits, and with it the COMMIT if `commit`; read the answers.

        Raises:
            DBAPIError: a statement failed, or the connection broke. Whether a COMMIT that was sent
                took effect is then unknown.
        """
        if not self._waiting and (commit or self._has_begun):
            return
        waiting, self._waiting = self._waiting, []
        driver = cast("BoundedConnection", self.connection.connection.driver_connection)
        try:
            with driver.statements(len(waiting)), driver.pipeline():
                if not self._has_begun:
                    driver.execute("BEGIN", prepare=True)
                    self._has_begun = True
                cursors: list[Any] = []
                for one in waiting:
                    cursors.append(self._execute(driver, one, cursors))
                if commit:
                    driver.commit()
            for one, cursor in zip(waiting, cursors, strict=True):
                _read(one, cursor)
        except psycopg.Error as error:
            lost = driver.closed or driver.broken
            if lost:
                self.connection.invalidate(error)
            raise DBAPIError(
                "a pipeline", None, error, hide_parameters=True, connection_invalidated=lost
            ) from error

    def _execute(self, driver: BoundedConnection, one: _Sent, in_use: Collection[Any]) -> Any:
        compiled = _compiled(one.statement, self.connection.dialect)
        cursors = self.connection.info.setdefault(_CURSORS, {})
        cursor = cursors.get(compiled.sql)
        if cursor is None or cursor in in_use:  # the same statement once more has its own answer
            cursor = driver.cursor(binary=True, row_factory=namedtuple_row)
            cursors[compiled.sql] = cursor
        cursor.execute(compiled.sql, compiled.parameters(one.values), prepare=True)
        return cursor


def send_in_order(engine: Engine) -> None:
    """Send what waits in a connection's pipeline before each other statement of it."""

    @event.listens_for(engine, "before_cursor_execute")
    def on_execute(connection: Connection, *_: Any) -> None:
        connection.get_execution_options()[OPTION].send()


def _read(one: _Sent, cursor: Any) -> None:
    one.is_read, one.rowcount_ = True, cursor.rowcount
    if one.statement.is_select:
        one.rows = cursor.fetchall()


@dataclass(frozen=True, slots=True)
class _Compiled:
    """SQL of a statement with psycopg's parameters, and what makes values of its types of them."""

    sql: str
    fixed: Mapping[str, Any]
    processors: Sequence[tuple[str, Any]]

    def parameters(self, values: Mapping[str, Any]) -> Mapping[str, Any]:
        made = {**self.fixed, **values}
        for name, processor in self.processors:
            made[name] = processor(made[name])
        return made


@lru_cache(MOST_COMPILED)
def _compiled(statement: Executable, dialect: Dialect) -> _Compiled:
    compiled = cast("SQLCompiler", cast("ClauseElement", statement).compile(dialect=dialect))
    fixed, processors = dict(compiled.params), []
    for bind, name in compiled.bind_names.items():
        processor = bind.type.dialect_impl(dialect).bind_processor(dialect)
        if processor and bind.required:
            processors.append((name, processor))
        elif processor:
            fixed[name] = processor(fixed[name])
    return _Compiled(str(compiled), fixed, processors)
