"""What outbound adapters share before a call: parameters, addresses and headers to be sent.

What parameters of several providers' actions accept, as marshmallow fields and validators.
"""

import json
import re
from collections.abc import Mapping
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from marshmallow import Schema, ValidationError, fields

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


_EMAIL = re.compile(r"[^\s@/\x00-\x1f\x7f]{1,64}@[^\s@/\x00-\x1f\x7f]{1,255}")
_DIGITS = re.compile(r"[0-9]{1,15}", re.ASCII)


class Minor(fields.Field[int]):
    """An amount of money: a whole number in the currency's minor unit, also as a text.

    Of 15 digits at most: a JSON number holds it exactly, with its decimals.
    """

    def _deserialize(self, value: Any, *_args: Any, **_kwargs: Any) -> int:
        written = str(value) if type(value) in (int, str) else ""
        if not _DIGITS.fullmatch(written):
            raise ValidationError("expected a whole number in the minor unit: 1050 is 10.50 USD")
        return int(written)


def check_email(email: str) -> None:
    """Accept an e-mail address in one line.

    Raises:
        ValidationError: it is none.
    """
    if not _EMAIL.fullmatch(email.strip()) or not email.isprintable():
        raise ValidationError("expected an e-mail address like jane@example.org")


def check_said(text: str) -> None:
    """Accept a text that says something.

    Raises:
        ValidationError: it is empty.
    """
    if not text.strip():
        raise ValidationError("must not be empty")
