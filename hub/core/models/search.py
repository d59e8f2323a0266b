"""The words that events are found by. The databases keep them in ways too different for one model.

PostgreSQL has a table with a `tsvector`; SQLite an FTS5 table, whose row ids grow with the time of
the event, so that it reads the newest first. The migration makes both; nothing else may.
"""

from sqlalchemy import Column, MetaData, Table, Text, Uuid, column, table
from sqlalchemy.dialects.postgresql import TSVECTOR

SEARCH_TABLE = "event_search"

# As PostgreSQL has it.
event_search = Table(
    SEARCH_TABLE,
    MetaData(),
    Column("event_id", Uuid, primary_key=True),
    Column("words", TSVECTOR, nullable=False),
)

# As SQLite has it.
event_search_fts = table(
    SEARCH_TABLE,
    column("rowid"),
    column("event_id", Uuid),
    column("words", Text),
    column(SEARCH_TABLE),  # what MATCH is asked of
)
