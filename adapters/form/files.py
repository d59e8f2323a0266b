"""File uploads of a form: accepted types, size limits, and the stored name and media type."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from adapters.contract.event import Attachment
from adapters.contract.filenames import safe_names
from adapters.contract.form_bodies import Part

MIB = 1024 * 1024
DEFAULT_BYTES = 5 * MIB
MOST_FILES = 10
# Limit for all files of one submission together.
MOST_BYTES = 40 * MIB

# Media type by extension; the type that the sender declares is ignored.
MEDIA_TYPES = {
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".png": "image/png",
    ".gif": "image/gif",
    ".webp": "image/webp",
    ".avif": "image/avif",
    ".heic": "image/heic",
    ".heif": "image/heif",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
    ".mp4": "video/mp4",
    ".mov": "video/quicktime",
    ".webm": "video/webm",
    ".mp3": "audio/mpeg",
    ".m4a": "audio/mp4",
    ".wav": "audio/wav",
    ".pdf": "application/pdf",
    ".txt": "text/plain",
    ".csv": "text/csv",
    ".rtf": "application/rtf",
    ".doc": "application/msword",
    ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ".xls": "application/vnd.ms-excel",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ".odt": "application/vnd.oasis.opendocument.text",
    ".ods": "application/vnd.oasis.opendocument.spreadsheet",
}
DEFAULT_ACCEPT = ("image/*", ".pdf", ".txt", ".doc", ".docx", ".odt")

_EXTENSION = re.compile(r"\.[a-z0-9]{1,10}")
_LAST_EXTENSION = re.compile(r"\.[A-Za-z0-9]{1,10}\Z", re.ASCII)
_UNITS = {"": 1, "KiB": 1024, "MiB": MIB}
_SIZE = re.compile(r"([1-9][0-9]{0,8})(KiB|MiB|)")


def extensions(accept: Iterable[str]) -> tuple[str, ...]:
    """Return the file extensions denoted by entries like `.pdf`, `image/png` or `image/*`.

    Raises:
        ValueError: an entry denotes no extension; the message is a sentence for the operator.
    """
    return tuple(dict.fromkeys(one for word in accept for one in _meant(word.lower())))


def _meant(word: str) -> Sequence[str]:
    if _EXTENSION.fullmatch(word):
        return (word,)
    start = word[:-1] if word.endswith("/*") else None
    found = [
        extension
        for extension, kind in MEDIA_TYPES.items()
        if kind == word or (start and kind.startswith(start))
    ]
    if not found:
        raise ValueError("expected extensions like .pdf, or known types like image/* or image/png")
    return found


def size_bytes(value: Any) -> int:
    """Parse a size (`5MiB`, `500KiB` or a number of bytes) and return the bytes.

    Raises:
        ValueError: not a size; the message is a sentence for the operator.
    """
    found = _SIZE.fullmatch(str(value)) if isinstance(value, int | str) else None
    if found is None:
        raise ValueError("expected a size like 5MiB")
    return int(found[1]) * _UNITS[found[2]]


def most_bytes(declared: Mapping[str, Mapping[str, Any]]) -> int:
    """Return the maximum total size of a form's files, in bytes."""
    return sum(_field_bytes(field) for field in declared.values())


def _field_bytes(declared: Mapping[str, Any]) -> int:
    if declared.get("type") != "file":
        return 0
    return int(declared.get("max", 1)) * size_bytes(declared.get("max_bytes", DEFAULT_BYTES))


def has_extension(name: str, allowed: frozenset[str]) -> bool:
    return _extension(name) in allowed


def _extension(name: str) -> str:
    found = _LAST_EXTENSION.search(name.strip(". "))
    return found[0].lower() if found else ""


def attachments(parts: Sequence[Part]) -> list[Attachment]:
    """Convert uploads to attachments: with a safe name, and the media type of the extension."""
    names = safe_names(part.filename or "" for part in parts)
    return [
        Attachment(name, MEDIA_TYPES.get(_extension(name), "application/octet-stream"), one.content)
        for name, one in zip(names, parts, strict=True)
    ]
