"""Pipelines: hot statements of one transaction that travel to the database together.

A round trip costs a busy process more than its statement: the thread gives up the interpreter while
it waits, and waits once more to get it back. `Store.write_pipelined` opens a transaction whose
connection has a pipeline; on any other connection, and on SQLite, statements run one by one, with
the same results.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, cast

from sqlalchemy import Connection, Executable, any_, bindparam, column, func, select
from sqlalchemy.dialects.postgresql import JSON

# Execution option of a connection that holds its pipeline.
OPTION = "hub_pipeline"


class Answer(Protocol):
    """Answer to a statement. To ask for it is to send all statements that were added."""

    @property
    def rowcount(self) -> int:
        """Return the number of rows that the statement changed.

        Raises:
            DBAPIError: this statement, or one before it, failed.
        """

    def all(self) -> Sequence[Any]:
        """Return the rows, with a column's value under its name.

        Raises:
            DBAPIError: this statement, or one before it, failed.
        """


# Builds a statement over the values of one row, by their names.
Build = Callable[[Any], Any]


class StatementForRows:
    """Statement that runs for each of many rows of values, in two forms of one definition.

    `one` takes a row's values as parameters. `at_once` (PostgreSQL) takes all rows as one JSON
    parameter, `rows`: cheaper to send, to plan and to answer. On SQLite a statement is a function
    call.
    """

    def __init__(
        self, build: Build, types: Mapping[str, Any], *, by: tuple[Any, str] | None = None
    ):
        """Build both forms; `types` are the columns of a row.

        Of an UPDATE, no column of a row may have the name of one that it changes.
        `by`: the table's column and the row's value that find what an UPDATE changes.
        """
        self.one: Executable = build({name: bindparam(name, type_=types[name]) for name in types})
        rows = (
            func.json_to_recordset(bindparam("rows", type_=JSON))
            .table_valued(*(column(name, kind) for name, kind in types.items()))
            .render_derived(name="r", with_types=True)
        )
        at_once = build(rows.c)
        if by is not None:
            # A planner expects a hundred rows of JSON, and would read a table of thousands from end
            # to end for them; of an array it expects ten.
            ids = func.array(select(rows.c[by[1]]).correlate(None).scalar_subquery())
            at_once = at_once.where(by[0] == any_(ids))
        self.at_once: Executable = at_once


class Pipeline(Protocol):
    """Statements of one connection's transaction, in the order in which they were added.

    They are sent at the latest with the COMMIT, and before any other statement of the connection.
    """

    def add(self, statement: Executable, values: Mapping[str, Any]) -> Answer:
        """Add a statement, which was built once and is kept."""

    def add_rows(self, statement: StatementForRows, rows: Sequence[Mapping[str, Any]]) -> Answer:
        """Add a statement for each of these rows, of which there is one at least."""

    def send(self) -> None:
        """Send the statements that are held back, and wait for their answers.

        Raises:
            DBAPIError: one of them failed; those after it have had no effect.
        """


class _OneByOne:
    """Pipeline that holds nothing back."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, statement: Executable, values: Mapping[str, Any]) -> Answer:
        return cast("Answer", self._connection.execute(statement, values))

    def add_rows(self, statement: StatementForRows, rows: Sequence[Mapping[str, Any]]) -> Answer:
        if self._connection.dialect.name == "postgresql":
            return cast("Answer", self._connection.execute(statement.at_once, {"rows": rows}))
        return cast("Answer", self._connection.execute(statement.one, rows))

    def send(self) -> None:
        """Do nothing: every statement was sent when it was added."""


def pipeline_of(connection: Connection) -> Pipeline:
    """Return the pipeline of a connection's transaction."""
    found: Pipeline | None = connection.get_execution_options().get(OPTION)
    return found or _OneByOne(connection)


def write_rows(
    connection: Connection, statement: StatementForRows, rows: Sequence[Mapping[str, Any]]
) -> None:
    """Run a statement for each of these rows, if any, on the pipeline of the connection."""
    if rows:
        pipeline_of(connection).add_rows(statement, rows)
