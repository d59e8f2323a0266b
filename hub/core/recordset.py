"""Rows as one parameter: on PostgreSQL, JSON that a statement reads like a table.

One parameter is cheaper to send, and one statement to run, than an array a column or a statement
a row.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import orjson


def typed(columns: Mapping[str, str]) -> str:
    """Return the column definitions of a `json_to_recordset`: names and their SQL types."""
    return ", ".join(f"{column} {kind}" for column, kind in columns.items())


def as_json(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return rows as that parameter; a key that is no column of it is not looked at."""
    return orjson.dumps(list(rows)).decode()
