"""Signatures made with a shared secret: bare ones, and those with their time (`t=...,v1=...`).

Plain functions of secrets, headers and bytes; the only clock is `received_at`. Whatever stands in
a header, the one exception that leaves a `verify_...` is `NotVerified`.
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
    """`secrets`: what the sender signs with; several while one replaces another."""

    secrets = fields.List(
        fields.String(validate=validate.Length(min=1)),
        required=True,
        validate=validate.Length(min=1),
    )


def sign_hmac(
    secret: str, signed: bytes, *, algorithm: str = "sha256", encoding: str = "hex"
) -> str:
    """Return the signature of some bytes; the key is the secret's text as UTF-8."""
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

    `header` is what the header `name` says: `prefix`, and the signature to the letter (hex in
    lower case).

    Raises:
        NotVerified: it is missing, starts otherwise, or no secret fits.
    """
    if not header:
        raise NotVerified(f"{name}: missing")
    if not header.startswith(prefix):
        raise NotVerified(f"{name}: does not start with {prefix}")
    given = header[len(prefix) :]
    candidates = [given.encode("ascii")] if given.isascii() else []
    for index, secret in enumerate(secrets):
        # A blank key would let anybody sign.
        if secret.strip():
            expected = sign_hmac(secret, signed, algorithm=algorithm, encoding=encoding)
            if any_equal(expected.encode("ascii"), candidates):
                return f"secrets[{index}]"
    raise NotVerified(f"{name}: signed with none of this source's secrets")


def sign_timed(secret: str, timestamp: int, body: bytes) -> str:
    """Return the header ``t=<seconds>,v1=<hex>``: HMAC-SHA256 over ``<seconds>.<body>``."""
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

    Several `v1` values may stand in the header (a secret being rolled), other schemes are ignored.

    Raises:
        NotVerified: the header `name` is missing or garbled, no secret fits, or the time is more
            than `past_s` before or `future_s` after `received_at`.
    """
    timestamp, candidates = _read_timed(name, header)
    check_age(timestamp, received_at, past_s=past_s, future_s=future_s)
    signed = b"%b.%b" % (timestamp.encode("ascii"), body)
    for index, secret in enumerate(secrets):
        if secret.strip() and any_equal(sign_hmac(secret, signed).encode("ascii"), candidates):
            return f"secrets[{index}]"
    raise NotVerified(f"{name}: signed with none of this source's secrets")


def check_timestamp(name: str, text: str) -> None:
    """Accept epoch seconds, 1 to 12 digits.

    Raises:
        NotVerified: something else, or nothing.
    """
    # isdigit alone lets Arabic and superscript digits pass, int alone spaces and underscores.
    if not (text.isascii() and text.isdigit() and len(text) <= _TIMESTAMP_DIGITS):
        raise NotVerified(f"{name}: missing, or not 1 to {_TIMESTAMP_DIGITS} digits")


def check_age(timestamp: str, received_at: datetime, *, past_s: int, future_s: int) -> None:
    """Accept a checked timestamp that is near `received_at`.

    Raises:
        NotVerified: it is too old or too new; the message says by how much.
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
    """Tell whether one of them is the expected one, in a time that tells nothing."""
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
