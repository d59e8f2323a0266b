"""Far ends' words, as a text column can keep them."""

LONGEST = 500


def bounded_text(text: str) -> str:
    """Return a text without NUL and lone surrogates, of `LONGEST` characters at most."""
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()[:LONGEST]


def bounded_text_or_none(text: str | None) -> str | None:
    """Return the same of what may be absent."""
    return None if text is None else bounded_text(text)
