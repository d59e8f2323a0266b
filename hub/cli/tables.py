"""How commands print rows: as JSON for programs, as a table for people."""

import json
import sys
from collections.abc import Sequence
from typing import Any

import click
import orjson
from rich.console import Console
from rich.table import Table
from rich.text import Text


def print_json(value: Any) -> None:
    """Print a value as JSON; bytes that are no text are shown with U+FFFD."""
    options = orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z
    try:
        text = orjson.dumps(value, default=_as_text, option=options).decode()
    except orjson.JSONEncodeError:  # half a surrogate pair, which has no UTF-8, stays escaped
        text = json.dumps(value, default=_as_text, indent=2)
    sys.stdout.write(text + "\n")


def print_rows(rows: Sequence[dict[str, Any]], columns: Sequence[str], *, as_json: bool) -> None:
    """Print rows: all of them as JSON, or these columns for a person."""
    if as_json:
        print_json(rows)
        return
    if not rows:
        click.echo("nothing", err=True)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column.replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*(Text(shown(row.get(column))) for column in columns))
    Console(soft_wrap=False, width=None if sys.stdout.isatty() else 200).print(table)


def shown(value: Any) -> str:
    """Return a value as a person reads it in a cell: one line, no control characters."""
    if value is None:
        return "-"
    if value is True or value is False:
        return "yes" if value else "no"
    text = str(value)
    if len(text) > 19 and text[10:11] == "T" and text.endswith("Z"):
        return text[:19].replace("T", " ")
    return "".join(c if c.isprintable() else "\ufffd" for c in text)


def _as_text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return str(value)
