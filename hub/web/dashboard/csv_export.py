"""CSV export for spreadsheets, in which no cell is a formula."""

import csv
import io
import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any

# As OWASP's "CSV Injection" lists them; the last four are their full-width forms.
_STARTS_A_FORMULA = (
    "=",
    "+",
    "-",
    "@",
    "\t",
    "\r",
    "\0",
    "\n",
    "\uff1d",
    "\uff0b",
    "\uff0d",
    "\uff20",
)


def csv_line(cells: Iterable[Any]) -> str:
    """Return a CSV line, every cell quoted; `'` precedes a text that would start a formula."""
    line = io.StringIO()
    csv.writer(line, quoting=csv.QUOTE_ALL).writerow([_inert(_text(cell)) for cell in cells])
    return line.getvalue()


def _text(cell: Any) -> str:
    if cell is None:
        return ""
    if isinstance(cell, datetime):
        return cell.isoformat()
    return json.dumps(cell, ensure_ascii=False) if isinstance(cell, dict | list) else str(cell)


def _inert(text: str) -> str:
    text = text.replace("\0", "\ufffd") if "\0" in text else text
    return f"'{text}" if text.lstrip(" ").startswith(_STARTS_A_FORMULA) else text
