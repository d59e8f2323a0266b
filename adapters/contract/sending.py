"""What outbound adapters share before a call: parameters, addresses and headers to be sent."""

import json
import re
from collections.abc import Mapping
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from marshmallow import Schema, ValidationError

from adapters.contract.errors import InvalidParameters

_FORBIDDEN = re.compile(r"[\x00-\x20\x7f\\]")
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")


def load_parameters(schema: type[Schema], parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return `parameters` as `schema` loads them; loading the result again changes nothing.

    Raises:
        InvalidParameters: with a sentence for each parameter that is wrong.
    """
    try:
        loaded: dict[str, Any] = _made(schema).load(parameters)
    except ValidationError as error:
        raise InvalidParameters(_faults(error.messages)) from None
    return loaded


@cache
def _made(schema: type[Schema]) -> Schema:
    """Return the one instance: making it costs more than loading, which keeps nothing in it."""
    return schema()


def json_body(value: object, *, parameter: str) -> bytes:
    """Return `value` as compact JSON: the same bytes for the same value, whatever its key order.

    Raises:
        InvalidParameters: naming `parameter`, when JSON has no form for it.
    """
    try:
        text = json.dumps(
            value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=True
        )
        return text.encode()
    except (TypeError, ValueError, RecursionError):
        raise InvalidParameters({parameter: "cannot be written as JSON"}) from None


def check_url(url: str) -> None:
    """Accept an http or https address with a host and neither credentials nor a fragment.

    A marshmallow validator: `fields.String(validate=check_url)`.

    Raises:
        ValidationError: the sentence says what is wrong, without the address.
    """
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good or _FORBIDDEN.search(url):
        raise ValidationError("expected an address like https://example.org/path")
    if "@" in parts.netloc or parts.fragment:
        raise ValidationError("expected an address without user name, password or fragment")


def rebase(url: str, base_url: str | None) -> str:
    """Return `url` with the scheme, host and path prefix of `base_url`, when there is one."""
    if not base_url:
        return url
    parts = urlsplit(url)
    return base_url.rstrip("/") + parts._replace(scheme="", netloc="").geturl()


def check_header(name: str, value: str) -> None:
    """Accept a header that can be sent as one line.

    Raises:
        ValidationError: the sentence names the header at most, never its value.
    """
    if not _NAME.fullmatch(name):
        raise ValidationError("is not the name of a header")
    if not value.isprintable() or not value.isascii():
        raise ValidationError("must be printable ASCII, in one line")


def _faults(messages: Any, path: str = "") -> dict[str, str]:
    if isinstance(messages, Mapping):
        faults: dict[str, str] = {}
        for key, inner in messages.items():
            faults |= _faults(inner, f"{path}.{key}" if path else str(key))
        return faults
    texts = messages if isinstance(messages, list) else [messages]
    return {path: " ".join(str(text) for text in texts)}
