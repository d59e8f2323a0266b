"""Output formats of commands: JSON for programs, tables for people."""

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

# Width without a terminal: wide enough to keep each row on one line for the program that reads it.
PIPE_WIDTH = 2000

_COPIED = ("id", "event_id")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}[.0-9]*Z", re.ASCII)


def print_json(value: Any) -> None:
    """Print a value as JSON; invalid UTF-8 in bytes becomes U+FFFD."""
    options = orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z
    try:
        text = orjson.dumps(value, default=_as_text, option=options).decode()
    except orjson.JSONEncodeError:  # a lone surrogate, which has no UTF-8 form, stays escaped
        text = json.dumps(value, default=_as_text, indent=2)
    sys.stdout.write(inert(text) + "\n")


def print_rows(rows: Sequence[dict[str, Any]], columns: Sequence[str], *, as_json: bool) -> None:
    """Print rows as JSON with all keys, or as a table with the given columns."""
    if as_json:
        print_json(rows)
        return
    if not rows:
        click.echo("nothing", err=True)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        whole = column in _COPIED  # never wrapped, so that it can be copied from a narrow screen
        table.add_column(column.replace("_", " "), overflow="fold", no_wrap=whole)
    for row in rows:
        table.add_row(*(Text(shown(row.get(column))) for column in columns))
    Console(soft_wrap=False, width=None if sys.stdout.isatty() else PIPE_WIDTH).print(table)


def shown(value: Any) -> str:
    """Return the text of a table cell for a value: one line, no control characters."""
    if value is None:
        return "-"
    if value is True or value is False:
        return "yes" if value else "no"
    text = str(value)
    if _TIME.fullmatch(text):
        return f"{text[:10]} {text[11:19]}Z"
    return "".join(c if c.isprintable() else "\ufffd" for c in text)


def inert(text: str) -> str:
    """Return equivalent JSON without control characters that a terminal would interpret."""
    if text.isascii() and "\x7f" not in text:
        return text
    return "".join(c if c.isprintable() or c == "\n" else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    return r"\u007f" if character == "\x7f" else json.dumps(character)[1:-1]


def _as_text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return str(value)
