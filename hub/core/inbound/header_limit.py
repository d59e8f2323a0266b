"""Limit of the headers and the URL that are stored of a request which anybody may have sent.

Long ones are cut, with a mark that says how much was left out. The mark begins with a character
that no header can have on the wire, so nobody can send one that looks as if it had been cut.
"""

import re
from collections.abc import Collection, Mapping
from typing import Any

from hub.core.errors import Refused

# Headers of the largest provider take 3 KiB.
HEADERS_MOST_BYTES = 16 * 1024
# As much as the server takes of a target, and the origin before it.
URL_MOST_BYTES = 4 * 1024 + 256

_CUT = re.compile(r"… \([0-9]+ bytes left out\)\Z")


def limit_headers(
    headers: Mapping[str, str], most_bytes: int = HEADERS_MOST_BYTES
) -> dict[str, str]:
    """Return headers of at most `most_bytes`, without the marks: the longest fields are cut."""
    sizes = [len(name) + len(value) for name, value in headers.items()]
    if sum(sizes) <= most_bytes:
        return dict(headers)
    share = _share(sizes, most_bytes)
    return dict(_limit_field(name, value, share) for name, value in headers.items())


def limit_url(url: str) -> str:
    """Return a URL of at most `URL_MOST_BYTES`, without the mark."""
    return _limit_text(url, URL_MOST_BYTES)


def is_cut(text: Any) -> bool:
    """Return whether a stored header or URL was cut."""
    return isinstance(text, str) and _CUT.search(text) is not None


class StoredHeaders(dict[str, str]):
    """Headers of a stored request, to be verified or parsed again."""

    def __getitem__(self, name: str) -> str:
        """Return a header.

        Raises:
            KeyError: there is none of that name.
            Refused: it was cut.
        """
        value = super().__getitem__(name)
        if is_cut(value):
            raise Refused(_sentence(name))
        return value

    def get(self, name: str, default: Any = None) -> Any:
        """Return a header, or `default` if there is none of that name.

        Raises:
            Refused: it was cut.
        """
        value = super().get(name, default)
        if is_cut(value):
            raise Refused(_sentence(name))
        return value


def cut_sentence(headers: Mapping[str, str], url: str) -> str | None:
    """Return the sentence about what was cut of a request, None if nothing was."""
    if is_cut(url):
        return "it cannot be verified again: its address was too long to be kept whole"
    cut = next((name for name, value in headers.items() if is_cut(value)), None)
    return _sentence(cut) if cut is not None else None


def _sentence(name: str) -> str:
    shown = name if len(name) < 100 else f"{name[:100]}…"
    return f"it cannot be verified again: its header {shown} was too long to be kept whole"


def _share(sizes: Collection[int], most_bytes: int) -> int:
    """Return the size to which the longest fields are cut, so that all fit together."""
    left, count = most_bytes, len(sizes)
    for size in sorted(sizes):
        if size * count > left:
            break
        left -= size
        count -= 1
    return left // max(count, 1)


def _limit_field(name: str, value: str, share: int) -> tuple[str, str]:
    if len(name) + len(value) <= share:
        return name, value
    if len(name) > share:
        # The name's own mark, or the field would pass for another one.
        value = f"{name[share:]}{value}"
        return f"{name[:share]}…", _limit_text(value, 0)
    return name, _limit_text(value, share - len(name))


def _limit_text(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}… ({len(text) - most} bytes left out)"
