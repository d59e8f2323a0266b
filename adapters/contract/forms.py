"""Form bodies as their senders made them: names and values in order, repeated ones too."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from werkzeug.datastructures import Headers
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.http import parse_options_header
from werkzeug.sansio.multipart import Data, Epilogue, Field, File, MultipartDecoder, NeedData

from adapters.contract.errors import Unreadable

MAX_FIELDS = 1000


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a multipart body. `filename` is None for a field, and as sent for a file."""

    name: str
    content: bytes = field(repr=False)
    filename: str | None = None
    content_type: str | None = None
    charset: str | None = None


def media_type(content_type: str | None) -> tuple[str, dict[str, str]]:
    """Return the lower-case type without its parameters, and the parameters."""
    kind, options = parse_options_header(content_type or "")
    return kind.lower(), options


def read_form(body: bytes) -> Sequence[tuple[str, str]]:
    """Return the fields of an urlencoded body, empty values too.

    Bytes that are no UTF-8 become lone surrogates, so that nothing is lost and signatures hold.

    Raises:
        Unreadable: it has more than `MAX_FIELDS` fields, or is no text at all.
    """
    try:
        return parse_qsl(
            body.decode("ascii", "surrogateescape"),
            keep_blank_values=True,
            errors="surrogateescape",
            max_num_fields=MAX_FIELDS,
        )
    except ValueError:
        raise Unreadable(f"a form has at most {MAX_FIELDS} fields") from None


def read_multipart(body: bytes, content_type: str | None) -> Sequence[Part]:
    """Return the parts of a `multipart/form-data` body.

    Raises:
        Unreadable: there is no boundary, the body breaks off, or it has too many parts.
    """
    kind, options = media_type(content_type)
    boundary = options.get("boundary", "")
    if kind != "multipart/form-data" or not boundary:
        raise Unreadable("expected multipart/form-data with a boundary")
    decoder = MultipartDecoder(boundary.encode("latin-1", "replace"), max_parts=MAX_FIELDS)
    parts: list[Part] = []
    content: list[bytes] = []
    try:
        decoder.receive_data(body)
        decoder.receive_data(None)
        while not isinstance(event := decoder.next_event(), Epilogue):
            if isinstance(event, NeedData):
                raise Unreadable("the body breaks off")
            if isinstance(event, Field | File):
                filename = event.filename if isinstance(event, File) else None
                parts.append(_part(event.name, filename, event.headers))
                content = []
            elif isinstance(event, Data):
                content.append(event.data)
                if not event.more_data:
                    parts[-1] = _with(parts[-1], b"".join(content))
    except (ValueError, OverflowError, LookupError) as error:
        raise Unreadable(f"its parts cannot be told apart: {type(error).__name__}") from None
    except RequestEntityTooLarge:
        raise Unreadable(f"a form has at most {MAX_FIELDS} parts") from None
    return parts


def _part(name: str | None, filename: str | None, headers: Headers) -> Part:
    kind, options = media_type(headers.get("content-type"))
    return Part(name or "", b"", filename, kind or None, options.get("charset"))


def _with(part: Part, content: bytes) -> Part:
    return Part(part.name, content, part.filename, part.content_type, part.charset)
