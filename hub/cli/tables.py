"""How commands print rows: as JSON for programs, as a table for people."""

import json
import re
import sys
from collections.abc import Sequence
from typing import Any

import click
import orjson
from rich.console import Console
from rich.table import Table
from rich.text import Text

# Who reads a pipe wants a row to be a line.
PIPE_WIDTH = 2000

_COPIED = ("id", "event_id")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}[.0-9]*Z", re.ASCII)


def print_json(value: Any) -> None:
    """Print a value as JSON; bytes that are no text are shown with U+FFFD."""
    options = orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z
    try:
        text = orjson.dumps(value, default=_as_text, option=options).decode()
    except orjson.JSONEncodeError:  # half a surrogate pair, which has no UTF-8, stays escaped
        text = json.dumps(value, default=_as_text, indent=2)
    sys.stdout.write(inert(text) + "\n")


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
        whole = column in _COPIED  # a person copies it: never broken, however narrow the screen
        table.add_column(column.replace("_", " "), overflow="fold", no_wrap=whole)
    for row in rows:
        table.add_row(*(Text(shown(row.get(column))) for column in columns))
    Console(soft_wrap=False, width=None if sys.stdout.isatty() else PIPE_WIDTH).print(table)


def shown(value: Any) -> str:
    """Return a value as a person reads it in a cell: one line, no control characters."""
    if value is None:
        return "-"
    if value is True or value is False:
        return "yes" if value else "no"
    text = str(value)
    if _TIME.fullmatch(text):
        return f"{text[:10]} {text[11:19]}Z"
    return "".join(c if c.isprintable() else "\ufffd" for c in text)


def inert(text: str) -> str:
    """Return JSON that says the same, and nothing to a terminal."""
    if text.isascii() and "\x7f" not in text:
        return text
    return "".join(c if c.isprintable() or c == "\n" else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    return r"\u007f" if character == "\x7f" else json.dumps(character)[1:-1]


def _as_text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return str(value)
