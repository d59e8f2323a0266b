"""File names that strangers chose, made safe to save under: on any system, in one folder."""

import re
import unicodedata
from collections.abc import Iterable
from itertools import count

# In UTF-8; file systems take 255, and something may still be put before it.
MAX_NAME_BYTES = 150

_LAST_PART = re.compile(r"[^/\\]*\Z")
_FORBIDDEN = re.compile(r'[<>:"|?*]')
# Windows gives these to devices, whatever stands after the dot.
_DEVICE = re.compile(
    r"(?i)(?:con|prn|aux|nul|com[0-9\u00b9\u00b2\u00b3]|lpt[0-9\u00b9\u00b2\u00b3])(?:\.|\Z)"
)
_UNSEEN = frozenset({"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"})


def safe_names(names: Iterable[str]) -> list[str]:
    """Return a safe name for each: no path, never empty, none twice even where case is ignored."""
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
    """Return the last part of a path without what a file system or a reader may stumble over.

    Empty when nothing is left. Characters that are not seen, or turn the writing around, are gone.
    """
    last = _LAST_PART.search(unicodedata.normalize("NFC", name[-1000:]))
    seen = "".join(c for c in (last[0] if last else "") if unicodedata.category(c) not in _UNSEEN)
    bare = " ".join(_FORBIDDEN.sub("_", seen).split()).strip(". ")
    if _DEVICE.match(bare):
        bare = f"_{bare}"
    return _with_ending(bare, "")


def _with_ending(name: str, ending: str) -> str:
    """Return the name with something before its extension, short enough."""
    stem, dot, extension = name.rpartition(".")
    if not stem or len(extension.encode()) > 20:
        stem, dot, extension = name, "", ""
    room = MAX_NAME_BYTES - len(f"{ending}{dot}{extension}".encode())
    short = stem.encode()[:room].decode("utf-8", "ignore").rstrip(". ")
    return f"{short}{ending}{dot}{extension}"
