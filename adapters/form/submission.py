"""What a browser or a script posted: one text per name, from any of three kinds of body."""

from collections.abc import Iterable, Mapping
from typing import Any

from adapters.contract.errors import Unreadable
from adapters.contract.forms import media_type, read_form, read_multipart
from adapters.contract.json import read_json
from adapters.contract.request import InboundRequest

JSON = "application/json"
URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"


class Repeated:
    """Stands for a field that came with two different values."""


REPEATED = Repeated()


def read_submission(request: InboundRequest) -> Mapping[str, Any]:
    """Return the fields by name. A text is as it came; bytes that are no UTF-8 are surrogates.

    From JSON a value may be anything that JSON can say.

    Raises:
        Unreadable: the body is not what its Content-Type says, or brings a file.
        TooManyFields: it has more fields than are read.
    """
    kind, _ = media_type(request.headers.get("content-type"))
    if kind == URLENCODED:
        return _once(read_form(request.body))
    if kind == MULTIPART:
        return _once(_texts(request))
    if kind == JSON:
        value = read_json(request.body)
        if not isinstance(value, dict):
            raise Unreadable(f"expected a JSON object, not {type(value).__name__}")
        return value
    raise Unreadable("expected a form: urlencoded, multipart or JSON")


def _texts(request: InboundRequest) -> Iterable[tuple[str, str]]:
    for part in read_multipart(request.body, request.headers.get("content-type")):
        if part.filename is None:
            yield part.name, part.content.decode("utf-8", "surrogateescape")
        elif part.filename or part.content:  # a file input left alone sends neither
            raise Unreadable("this form takes no files")


def _once(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Return what each name says; whatever is told apart by position alone is not taken.

    `parse_qsl` leaves bytes that came unescaped as single surrogates: they are joined here.
    """
    found: dict[str, Any] = {}
    for name, text in pairs:
        value = text.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")
        found[name] = value if found.setdefault(name, value) == value else REPEATED
    return found
