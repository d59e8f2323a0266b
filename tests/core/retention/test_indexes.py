"""Indexes that deletions need: of every foreign key, and of every id that refers to a row."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Column, ForeignKey, Index, MetaData, Table, Uuid

from hub.core.ids import FIRST_ID
from hub.core.models import Base
from hub.core.retention.schedule import deletions
from tests.core.making import NOW
from tests.test_migrations import explain, said_to

# Ids that name no row of another table, or that are only looked up beside another column.
NOT_FOLLOWED = {
    "hub_identity.hub_id": "the hub itself",
    "replay_items.delivery_id": "looked up among the items of one replay, by the primary key",
}


def leading_columns(table: Table) -> Iterator[tuple[str, ...]]:
    """Yield the columns of each index of a table, in their order.

    A partial index counts if its condition is that its first column is not null: it has every row
    that can refer to another one.
    """
    yield tuple(column.name for column in table.primary_key)
    for constraint in table.constraints:
        if type(constraint).__visit_name__ == "unique_constraint":
            yield tuple(column.name for column in constraint.columns)
    for index in table.indexes:
        names = tuple(column.name for column in index.columns)
        where = index.dialect_options["postgresql"].get("where")
        if where is None or str(where) == f"{names[0]} IS NOT NULL":
            yield names


def has_index(table: Table, columns: tuple[str, ...]) -> bool:
    return any(names[: len(columns)] == columns for names in leading_columns(table))


def without_index(metadata: MetaData) -> list[str]:
    """Return the foreign keys and ids, as `table.column`, that no index begins with."""
    found = []
    for table in metadata.tables.values():
        keys = {tuple(key.column_keys) for key in table.foreign_key_constraints}
        ids = {
            (column.name,)
            for column in table.columns
            if column.name.endswith("_id") and isinstance(column.type, Uuid)
        }
        found += [
            f"{table.name}.{','.join(columns)}"
            for columns in sorted(keys | ids)
            if not has_index(table, columns)
        ]
    return [name for name in found if name not in NOT_FOLLOWED]


def test_every_column_that_a_deletion_follows_has_an_index() -> None:
    assert without_index(Base.metadata) == []


@pytest.mark.parametrize(
    ("indexes", "expected"),
    [
        ([], ["child.parent_id"]),
        ([Index("a", "other", "parent_id")], ["child.parent_id"]),
        ([Index("a", "parent_id", "other")], []),
    ],
)
def test_a_foreign_key_without_an_index_would_be_noticed(
    indexes: list[Index], expected: list[str]
) -> None:
    metadata = MetaData()
    Table("parent", metadata, Column("id", Uuid, primary_key=True))
    columns = [Column("id", Uuid, primary_key=True), Column("other", Uuid)]
    Table("child", metadata, *columns, Column("parent_id", ForeignKey("parent.id")), *indexes)
    assert without_index(metadata) == expected


@pytest.mark.parametrize(
    ("kind", "index"),
    [
        ("events", {"postgresql": "pk_events", "sqlite": "sqlite_autoindex_events_1"}),
        ("bodies", "ix_inbound_requests_whole"),
        ("rejected requests", "ix_inbound_requests_odd"),
        ("duplicate requests", "ix_inbound_requests_odd"),
        ("unreadable requests", "ix_inbound_requests_odd"),
        ("keys", "ix_event_keys_event_id"),
        ("answers", "ix_attempts_message"),
        ("held leads", "ix_events_held"),
    ],
)
def test_a_walk_finds_its_next_rows_by_an_index(attic, kind: str, index) -> None:
    table = "alerts" if kind == "held leads" else ""
    delete = deletions(attic.configuration, now=NOW)[kind]
    with attic.database.write() as connection, said_to(connection) as said:
        delete(connection, FIRST_ID, 10)
    windows = [one for one in said if "LIMIT" in one[0] and (not table or table not in one[0])]
    with attic.database.write() as connection:  # the settings of a plan hold in a transaction
        plan = explain(connection, *windows[0])
        dialect = connection.dialect.name
    wanted = index if isinstance(index, str) else index[dialect]
    assert f"{wanted} " in plan + " "
