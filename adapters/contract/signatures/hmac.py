"""HMAC signatures with a shared secret: plain ones, and those with a timestamp (`t=...,v1=...`).

Pure functions of secrets, headers and bytes; the only clock is `received_at`. Whatever a header
contains, the only exception that a `verify_...` raises is `NotVerified`.
"""

import hmac
from base64 import b64encode
from collections.abc import Sequence
from datetime import datetime

from marshmallow import Schema, fields, validate

from adapters.contract.errors import NotVerified

ALGORITHMS = ("sha1", "sha256", "sha512")
ENCODINGS = ("hex", "base64")

_TIMESTAMP_DIGITS = 12
_HEX_SHA256_LENGTH = 64


class SecretsSchema(Schema):
    """Schema with `secrets`, the sender's signing secrets: several while one replaces another."""

    secrets = fields.List(
        fields.String(validate=validate.Length(min=1)),
        required=True,
        validate=validate.Length(min=1),
    )


def sign_hmac(
    secret: str, signed: bytes, *, algorithm: str = "sha256", encoding: str = "hex"
) -> str:
    """Return the HMAC of `signed`; the key is the secret's text as UTF-8."""
    digest = hmac.digest(secret.encode(), signed, algorithm)
    return b64encode(digest).decode("ascii") if encoding == "base64" else digest.hex()


def verify_hmac(
    secrets: Sequence[str],
    header: str | None,
    signed: bytes,
    *,
    name: str,
    prefix: str = "",
    algorithm: str = "sha256",
    encoding: str = "hex",
) -> str:
    """Return the label of the secret that signed the bytes (`secrets[0]`).

    `header` is the value of the header `name`: `prefix`, then exactly the signature (hex in lower
    case).

    Raises:
        NotVerified: the header is missing, does not start with `prefix`, or matches no secret.
    """
    if not header:
        raise NotVerified(f"{name}: missing")
    if not header.startswith(prefix):
        raise NotVerified(f"{name}: does not start with {prefix}")
    given = header[len(prefix) :]
    candidates = [given.encode("ascii")] if given.isascii() else []
    for index, secret in enumerate(secrets):
        # With a blank key, anyone could sign.
        if secret.strip():
            expected = sign_hmac(secret, signed, algorithm=algorithm, encoding=encoding)
            if any_equal(expected.encode("ascii"), candidates):
                return f"secrets[{index}]"
    raise NotVerified(f"{name}: signed with none of this source's secrets")


def sign_timed(secret: str, timestamp: int, body: bytes) -> str:
    """Return the header value ``t=<seconds>,v1=<hex>``: HMAC-SHA256 over ``<seconds>.<body>``."""
    return f"t={timestamp},v1={sign_hmac(secret, b'%d.%b' % (timestamp, body))}"


def verify_timed(
    secrets: Sequence[str],
    header: str | None,
    body: bytes,
    received_at: datetime,
    *,
    name: str,
    past_s: int,
    future_s: int,
) -> str:
    """Return the label of the secret that signed the body (`secrets[0]`).

    The header may have several `v1` values (while a secret is rotated); other schemes are ignored.

    Raises:
        NotVerified: the header `name` is missing or malformed, no secret matches, or the time is
            more than `past_s` before or `future_s` after `received_at`.
    """
    timestamp, candidates = _read_timed(name, header)
    check_age(timestamp, received_at, past_s=past_s, future_s=future_s)
    signed = b"%b.%b" % (timestamp.encode("ascii"), body)
    for index, secret in enumerate(secrets):
        if secret.strip() and any_equal(sign_hmac(secret, signed).encode("ascii"), candidates):
            return f"secrets[{index}]"
    raise NotVerified(f"{name}: signed with none of this source's secrets")


def check_timestamp(name: str, text: str) -> None:
    """Require epoch seconds of 1 to 12 digits.

    Raises:
        NotVerified: `text` is empty or anything else.
    """
    # isdigit alone accepts Arabic and superscript digits, int alone spaces and underscores.
    if not (text.isascii() and text.isdigit() and len(text) <= _TIMESTAMP_DIGITS):
        raise NotVerified(f"{name}: missing, or not 1 to {_TIMESTAMP_DIGITS} digits")


def check_age(timestamp: str, received_at: datetime, *, past_s: int, future_s: int) -> None:
    """Require a timestamp near `received_at`; `check_timestamp` has validated its format.

    Raises:
        NotVerified: the timestamp is too old or too far in the future; the message says how far.
    """
    age_s = int(received_at.timestamp()) - int(timestamp)
    if age_s > past_s:
        raise NotVerified(
            f"signed {age_s} s ago; at most {past_s} s. Is this machine's clock right?"
        )
    if -age_s > future_s:
        raise NotVerified(
            f"signed {-age_s} s in the future; at most {future_s} s. Is this machine's clock right?"
        )


def any_equal(expected: bytes, candidates: Sequence[bytes]) -> bool:
    """Return whether any candidate equals the expected signature, compared in constant time."""
    return any(hmac.compare_digest(expected, candidate) for candidate in candidates)


def _read_timed(name: str, header: str | None) -> tuple[str, list[bytes]]:
    if not header:
        raise NotVerified(f"{name}: missing")
    timestamp: str | None = None
    candidates = []
    for part in header.split(","):
        key, _, value = part.partition("=")
        if key == "v1":
            if len(value) == _HEX_SHA256_LENGTH and value.isascii():
                candidates.append(value.encode("ascii"))
        elif key == "t":
            if timestamp is not None:
                raise NotVerified(f"{name}: more than one t")
            timestamp = value
    check_timestamp(f"{name}: t", timestamp or "")
    if not candidates:
        raise NotVerified(f"{name}: no v1 signature")
    return timestamp or "", candidates
