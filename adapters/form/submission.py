"""Submission of a form: values and files by field name, from any of three content types."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from adapters.contract.errors import Unreadable
from adapters.contract.form_bodies import Part, media_type, read_form, read_multipart
from adapters.contract.request import InboundRequest
from adapters.contract.strict_json import read_json

JSON = "application/json"
URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"


@dataclass(frozen=True, slots=True)
class Repeated:
    """Values of a field that was sent with several different values, in order."""

    values: Sequence[str]


@dataclass(frozen=True, slots=True)
class Submission:
    """Submission: values by field name, and files by field name.

    Texts are unchanged; bytes that are not UTF-8 are surrogates. In a JSON body, a value may have
    any JSON type.
    """

    values: Mapping[str, Any]
    files: Mapping[str, Sequence[Part]] = field(default_factory=dict)

    def get(self, name: str) -> Any:
        return self.values.get(name)

    def texts(self, name: str) -> Sequence[str]:
        """Return the strings sent for a field; values of other types are left out."""
        value = self.values.get(name)
        if isinstance(value, Repeated):
            return value.values
        if isinstance(value, list):
            return [one for one in value if isinstance(one, str)]
        return [value] if isinstance(value, str) else []


def read_submission(request: InboundRequest) -> Submission:
    """Parse the body of a request as a form submission.

    Raises:
        Unreadable: the Content-Type is not one of a form, or the body does not match it.
        TooManyFields: the body has more fields than are read.
    """
    kind, _ = media_type(request.headers.get("content-type"))
    if kind == URLENCODED:
        return Submission(_gathered(read_form(request.body)))
    if kind == MULTIPART:
        return _from_parts(read_multipart(request.body, request.headers.get("content-type")))
    if kind == JSON:
        value = read_json(request.body)
        if not isinstance(value, dict):
            raise Unreadable(f"expected a JSON object, not {type(value).__name__}")
        return Submission(value)
    raise Unreadable("expected a form: urlencoded, multipart or JSON")


def _from_parts(parts: Sequence[Part]) -> Submission:
    files: dict[str, list[Part]] = {}
    for part in parts:
        # A file input without a chosen file sends neither a name nor bytes.
        if part.filename is not None and (part.filename or part.content):
            files.setdefault(part.name, []).append(part)
    texts = (
        (part.name, part.content.decode("utf-8", "surrogateescape"))
        for part in parts
        if part.filename is None
    )
    return Submission(_gathered(texts), files)


def _gathered(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Group values by name; equal values of a repeated name count once.

    `parse_qsl` leaves unescaped bytes as single surrogates: they are joined here.
    """
    found: dict[str, dict[str, None]] = {}
    for name, text in pairs:
        value = text.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")
        found.setdefault(name, {})[value] = None
    return {
        name: next(iter(values)) if len(values) == 1 else Repeated(tuple(values))
        for name, values in found.items()
    }
