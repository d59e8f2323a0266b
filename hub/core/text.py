"""Text columns: cleaning and length limits of texts from peers, and glob matching."""

from typing import Any

from sqlalchemy import ColumnElement

LONGEST = 500


def bounded_text(text: str) -> str:
    """Return a text with NUL and lone surrogates replaced, of at most `LONGEST` characters."""
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()[:LONGEST]


def bounded_text_or_none(text: str | None) -> str | None:
    """Return a bounded text, or None for None."""
    return None if text is None else bounded_text(text)


def matches(column: Any, wanted: str) -> ColumnElement[bool]:
    """Return the condition that a column equals a text, or matches it where it has a `*`."""
    if "*" not in wanted:
        equal: ColumnElement[bool] = column == wanted
        return equal
    pattern = wanted.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    like: ColumnElement[bool] = column.like(pattern.replace("*", "%"), escape="\\")
    return like
