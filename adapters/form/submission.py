"""Submission of a form, read once from any of three content types, with what is kept of it.

Kept are the declared fields and, of the hub's own, those that are needed to read a stored
submission again, each within the length that it may have. Of everything else a stranger sends, the
name alone is passed on. The kept body has the content type of the one that came, and reading it
again gives the same submission.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from adapters.contract.errors import Unreadable
from adapters.contract.form_bodies import (
    MAX_FIELDS,
    Part,
    media_type,
    read_form,
    read_multipart,
)
from adapters.contract.form_inbound import Repeated, Submission
from adapters.contract.request import InboundRequest
from adapters.contract.strict_json import read_json
from adapters.form.lead import MAX_URL, MAX_UTM, UTM
from adapters.form.spam_signals import CHALLENGES

JSON = "application/json"
URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"

# Characters that the hub's own fields may have; longer ones say nothing, and are not kept.
OWN = {
    "_token": 128,
    "_page": MAX_URL,
    "_referrer": MAX_URL,
    "_next": MAX_URL,
    "_hosted": 8,
    # A browser names the charset of a urlencoded body here (HTML, 4.10.22.5).
    "_charset_": 64,
    **{f"utm_{key}": MAX_UTM for key in UTM},
}
# What is kept of the text in a field that is hidden from people.
MAX_HONEYPOT = 200
# Only the end of a longer file name is read.
MAX_FILENAME = 1000

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_QUOTE = re.compile(r'"|%22')


class SubmissionReader:
    """Reader of one form's submissions, shared by many threads."""

    def __init__(self, declared: Mapping[str, Mapping[str, Any]], honeypot: str) -> None:
        self._declared = frozenset(declared)
        self._file_fields = frozenset(n for n, field in declared.items() if field["type"] == "file")
        self._own = {name: most for name, most in OWN.items() if name not in declared}
        self._honeypot = honeypot
        # Read when the submission arrives, and of no use afterwards: it answers one challenge once.
        self._passing = frozenset(CHALLENGES) - self._declared

    def read(self, request: InboundRequest) -> Submission:
        """Parse the body of a request as a form submission.

        Raises:
            Unreadable: the Content-Type is not one of a form, or the body does not match it.
            TooManyFields: the body has more fields than are read.
        """
        kind, options = media_type(request.headers.get("content-type"))
        sent, files = _sent(kind, request)
        kept = {name: value for name, value in sent.items() if self._is_kept(name, value)}
        if mark := _mark(sent.get(self._honeypot)):
            kept[self._honeypot] = mark
        known = self._declared | self._own.keys() | self._passing | {self._honeypot}
        kept_files = {name: parts for name, parts in files.items() if name in self._file_fields}
        body = _encoded(kind, kept, kept_files, options.get("boundary", ""))
        return Submission(
            request=replace(request, url=request.url.partition("?")[0], body=body),
            values=kept | {name: value for name, value in sent.items() if name in self._passing},
            files=kept_files,
            undeclared=tuple(name for name in dict.fromkeys((*sent, *files)) if name not in known),
            has_stray_file=len(kept_files) < len(files),
        )

    def _is_kept(self, name: str, value: Any) -> bool:
        if name in self._declared:
            return True
        most = self._own.get(name)
        return most is not None and isinstance(value, str) and 0 < len(value) <= most


def _sent(
    kind: str, request: InboundRequest
) -> tuple[Mapping[str, Any], Mapping[str, Sequence[Part]]]:
    """Return all that a body has, values and files by name."""
    if kind == URLENCODED:
        return _gathered(read_form(request.body)), {}
    if kind == MULTIPART:
        parts = read_multipart(request.body, request.headers.get("content-type"))
        return _gathered(_texts(parts)), _files(parts)
    if kind == JSON:
        value = read_json(request.body, most_values=MAX_FIELDS)
        if not isinstance(value, dict):
            raise Unreadable(f"expected a JSON object, not {type(value).__name__}")
        return value, {}
    raise Unreadable("expected a form: urlencoded, multipart or JSON")


def _texts(parts: Iterable[Part]) -> Iterator[tuple[str, str]]:
    for part in parts:
        if part.filename is None:
            yield part.name, part.content.decode("utf-8", "surrogateescape")


def _files(parts: Iterable[Part]) -> Mapping[str, Sequence[Part]]:
    files: dict[str, list[Part]] = {}
    for part in parts:
        if part.filename is None:
            continue
        filename = _file_name(part.filename)
        # A file input without a chosen file sends neither a name nor bytes.
        if filename or part.content:
            files.setdefault(part.name, []).append(replace(part, filename=filename))
    return files


def _file_name(name: str) -> str:
    """Return a file name without its path, and without what would have to be escaped in a head."""
    plain = _CONTROL.sub("", name[-MAX_FILENAME:])
    last = plain.replace("\\", "/").rpartition("/")[2]
    return _joined(_QUOTE.sub("_", last))


def _gathered(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Group values by name; equal values of a repeated name count once."""
    found: dict[str, dict[str, None]] = {}
    for name, text in pairs:
        found.setdefault(name, {})[_joined(text)] = None
    return {
        name: next(iter(values)) if len(values) == 1 else Repeated(tuple(values))
        for name, values in found.items()
    }


def _joined(text: str) -> str:
    """Return a text whose bytes were decoded one by one: those that are UTF-8 are joined."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")


def _mark(value: Any) -> str:
    """Return what is kept of a field that people do not see; empty if it was left empty."""
    if isinstance(value, Repeated):
        value = next(one for one in value.values if one)
    if value is None or isinstance(value, str):
        return (value or "")[:MAX_HONEYPOT]
    return "filled in"


def _encoded(
    kind: str, values: Mapping[str, Any], files: Mapping[str, Sequence[Part]], boundary: str
) -> bytes:
    """Return a body of a content type with these values and files.

    Raises:
        Unreadable: the values cannot be written as JSON.
    """
    if kind == JSON:
        try:
            return json.dumps(values, separators=(",", ":"), allow_nan=False).encode("ascii")
        except ValueError:
            raise Unreadable("the JSON has a number that is too large") from None
    pairs = [(name, text) for name, value in values.items() for text in _all(value)]
    if kind == URLENCODED:
        return urlencode(pairs, errors="surrogateescape").encode("ascii")
    mark = b"--" + boundary.encode("latin-1", "replace")
    parts = [Part(name, text.encode("utf-8", "surrogateescape")) for name, text in pairs]
    parts += [one for many in files.values() for one in many]
    heads = (_head(one.name, one.filename).encode("utf-8", "surrogateescape") for one in parts)
    made = (mark + head + one.content for head, one in zip(heads, parts, strict=True))
    return b"\r\n".join((*made, mark + b"--\r\n"))


def _head(name: str, filename: str | None) -> str:
    file = "" if filename is None else f'; filename="{filename}"'
    return f'\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'


def _all(value: Any) -> Sequence[str]:
    return value.values if isinstance(value, Repeated) else (value,)
