"""File names from untrusted senders, made safe for any file system and unique in one folder."""

import re
import unicodedata
from collections.abc import Iterable
from itertools import count

# In UTF-8; file systems allow 255, and the caller may still add a prefix.
MAX_NAME_BYTES = 150

_LAST_PART = re.compile(r"[^/\\]*\Z")
_FORBIDDEN = re.compile(r'[<>:"|?*]')
# Windows reserves these names for devices, whatever the extension.
_DEVICE = re.compile(
    r"(?i)(?:con|prn|aux|nul|com[0-9\u00b9\u00b2\u00b3]|lpt[0-9\u00b9\u00b2\u00b3])(?:\.|\Z)"
)
_UNSEEN = frozenset({"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"})


def safe_names(names: Iterable[str]) -> list[str]:
    """Return a safe file name for each: no path, never empty, unique even if case is ignored."""
    taken: set[str] = set()
    safe = []
    for place, name in enumerate(names, 1):
        wanted = safe_name(name) or f"attachment-{place}"
        unique = wanted
        for number in count(2):
            if unique.casefold() not in taken:
                break
            unique = _with_ending(wanted, f"-{number}")
        taken.add(unique.casefold())
        safe.append(unique)
    return safe


def safe_name(name: str) -> str:
    """Return the last segment of a path, without characters that are unsafe in a file name.

    Invisible characters, and those that reverse the writing direction, are removed. The result is
    empty if nothing remains.
    """
    last = _LAST_PART.search(unicodedata.normalize("NFC", name[-1000:]))
    seen = "".join(c for c in (last[0] if last else "") if unicodedata.category(c) not in _UNSEEN)
    bare = " ".join(_FORBIDDEN.sub("_", seen).split()).strip(". ")
    if _DEVICE.match(bare):
        bare = f"_{bare}"
    return _with_ending(bare, "")


def _with_ending(name: str, ending: str) -> str:
    """Return the name with `ending` before its extension, cut to `MAX_NAME_BYTES`."""
    stem, dot, extension = name.rpartition(".")
    if not stem or len(extension.encode()) > 20:
        stem, dot, extension = name, "", ""
    room = MAX_NAME_BYTES - len(f"{ending}{dot}{extension}".encode())
    short = stem.encode()[:room].decode("utf-8", "ignore").rstrip(". ")
    return f"{short}{ending}{dot}{extension}"
