"""Request helpers of outbound adapters: parameter loading, JSON bodies, URLs and headers.

Also the marshmallow fields and validators that the actions of several providers share.
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
    """Load `parameters` with `schema`; loading the result again changes nothing.

    Raises:
        InvalidParameters: with a sentence for each invalid parameter.
    """
    try:
        loaded: dict[str, Any] = _made(schema).load(parameters)
    except ValidationError as error:
        raise InvalidParameters(_faults(error.messages)) from None
    return loaded


@cache
def _made(schema: type[Schema]) -> Schema:
    """Return a cached schema instance: building one costs more than a load, which is stateless."""
    return schema()


def json_body(value: object, *, parameter: str) -> bytes:
    """Serialize `value` as compact JSON; equal values give equal bytes, whatever their key order.

    Raises:
        InvalidParameters: JSON cannot represent `value`; the fault is filed under `parameter`.
    """
    try:
        text = json.dumps(
            value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=True
        )
        return text.encode()
    except (TypeError, ValueError, RecursionError):
        raise InvalidParameters({parameter: "cannot be written as JSON"}) from None


def check_url(url: str) -> None:
    """Require an http or https URL with a host, without credentials and without a fragment.

    A marshmallow validator: `fields.String(validate=check_url)`.

    Raises:
        ValidationError: the URL is not of this form; the message does not contain it.
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
    """Return `url` with the scheme, host and path prefix of `base_url`, if one is given."""
    if not base_url:
        return url
    parts = urlsplit(url)
    return base_url.rstrip("/") + parts._replace(scheme="", netloc="").geturl()


def check_header(name: str, value: str) -> None:
    """Require a header with a valid name and a value that fits on one line.

    Raises:
        ValidationError: the name or value is invalid; the message never contains the value.
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
    """Amount of money: a whole number in the currency's minor unit, as an integer or a string.

    At most 15 digits, so that a JSON number represents it exactly, with its decimals.
    """

    def _deserialize(self, value: Any, *_args: Any, **_kwargs: Any) -> int:
        written = str(value) if type(value) in (int, str) else ""
        if not _DIGITS.fullmatch(written):
            raise ValidationError("expected a whole number in the minor unit: 1050 is 10.50 USD")
        return int(written)


def check_email(email: str) -> None:
    """Require an e-mail address on one line.

    Raises:
        ValidationError: `email` is not one.
    """
    if not _EMAIL.fullmatch(email.strip()) or not email.isprintable():
        raise ValidationError("expected an e-mail address like jane@example.org")


def check_said(text: str) -> None:
    """Require a string that is not blank.

    Raises:
        ValidationError: `text` is empty, or whitespace only.
    """
    if not text.strip():
        raise ValidationError("must not be empty")
