"""Row-set statements: one for many rows on PostgreSQL, one for each row on SQLite.

PostgreSQL reads the rows from one JSON parameter like a table: cheaper to send, to plan and to
answer than a statement for each. On SQLite a statement is a function call.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Connection, Text, bindparam, cast, column, func
from sqlalchemy.dialects.postgresql import JSON
from sqlalchemy.sql.base import Executable
from sqlalchemy.types import TypeEngine

Columns = Mapping[str, ColumnElement[Any]]

_ROWS = "rows"
_ROW = "row_"


class RowSetStatement:
    """INSERT ... SELECT or UPDATE over rows, built once.

    `types` are the columns of a row, by name. `build` makes the statement out of the columns: for
    an INSERT it selects from them, for an UPDATE it names them in conditions and values.
    """

    def __init__(
        self, types: Mapping[str, TypeEngine[Any]], build: Callable[[Columns], Executable]
    ) -> None:
        json = cast(bindparam(_ROWS, type_=Text), JSON)
        named = [column(name, type_) for name, type_ in types.items()]
        table = func.json_to_recordset(json).table_valued(*named, name="told")
        self._of_all = build(dict(table.render_derived(with_types=True).c))
        # Not the columns' own names, which SQLAlchemy reserves in an UPDATE.
        of_each = {name: bindparam(_ROW + name, type_=type_) for name, type_ in types.items()}
        self._of_each = build(of_each)

    def execute(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Run the statement; nothing without rows. Every row has a value for each column."""
        if not rows:
            return
        if connection.dialect.name == "postgresql":
            connection.execute(self._of_all, {_ROWS: orjson.dumps(rows).decode()})
        else:
            of_each = [{_ROW + name: value for name, value in row.items()} for row in rows]
            connection.execute(self._of_each, of_each)
