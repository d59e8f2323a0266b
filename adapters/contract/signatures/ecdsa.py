"""Signatures of Twilio SendGrid: ECDSA over P-256 with SHA-256, of timestamp and raw body.

The Event Webhook and Inbound Parse share it. The timestamp and the body are concatenated without a
separator, so the signed bytes do not show where the timestamp ends: only a timestamp of exactly
ten digits (2001 to 2286) is accepted. A signature does not identify a request either: from any
valid one, anyone can derive a second (r, n - s).

The `EventWebhook` of SendGrid's library takes the body as text, so it cannot verify one that is not
UTF-8, as an e-mail with files is; over a large batch it takes three times as long; it knows no time
limit, and raises undocumented exceptions at odd headers. It verifies what is signed here, in tests.
https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/getting-started-event-webhook-security-features
"""

import re
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from datetime import datetime

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
)
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    load_der_private_key,
    load_der_public_key,
)
from marshmallow import ValidationError

from adapters.contract.errors import NotVerified

SIGNATURE_HEADER = "X-Twilio-Email-Event-Webhook-Signature"
TIMESTAMP_HEADER = "X-Twilio-Email-Event-Webhook-Timestamp"

_VERIFIED_WITH = ECDSA(SHA256())
_SIGNED_WITH = ECDSA(SHA256(), deterministic_signing=True)
_TIMESTAMP = re.compile(r"[0-9]{10}", re.ASCII)
_PEM_LINE = re.compile(r"-----(?:BEGIN|END) [A-Z ]+-----")


def public_key(text: str) -> EllipticCurvePublicKey:
    """Parse the verification key that SendGrid shows: base64 DER, or the same as PEM.

    Raises:
        ValueError: not a public key on P-256; the message says why and never contains the key.
    """
    try:
        key = load_der_public_key(_der(text))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ValueError(
            "is not a public key: paste the verification key that SendGrid shows, whole"
        ) from error
    if not isinstance(key, EllipticCurvePublicKey) or not isinstance(key.curve, SECP256R1):
        raise ValueError("is not a key on the curve P-256, which SendGrid signs with")
    return key


def private_key(text: str) -> EllipticCurvePrivateKey:
    """Parse an unencrypted private key: base64 DER (PKCS 8 or SEC 1), or the same as PEM.

    Raises:
        ValueError: not a private key on P-256; the message says why and never contains the key.
    """
    try:
        key = load_der_private_key(_der(text), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ValueError("is not an unencrypted private key, as PEM or as base64 DER") from error
    if not isinstance(key, EllipticCurvePrivateKey) or not isinstance(key.curve, SECP256R1):
        raise ValueError("is not a key on the curve P-256, which SendGrid signs with")
    return key


def check_public_key(text: str) -> None:
    """Require a key that `public_key` can parse (a marshmallow validator).

    Raises:
        ValidationError: with the message of `public_key`.
    """
    try:
        public_key(text)
    except ValueError as error:
        raise ValidationError(str(error)) from error


def check_private_key(text: str) -> None:
    """Require a key that `private_key` can parse (a marshmallow validator).

    Raises:
        ValidationError: with the message of `private_key`.
    """
    try:
        private_key(text)
    except ValueError as error:
        raise ValidationError(str(error)) from error


def sign_ecdsa(key: EllipticCurvePrivateKey, timestamp: int, body: bytes) -> dict[str, str]:
    """Return the two signature headers, lower-case; deterministic for equal bytes (RFC 6979)."""
    signature = key.sign(_signed_bytes(str(timestamp), body), _SIGNED_WITH)
    return {
        SIGNATURE_HEADER.lower(): b64encode(signature).decode("ascii"),
        TIMESTAMP_HEADER.lower(): str(timestamp),
    }


def verify_ecdsa(
    keys: Sequence[EllipticCurvePublicKey],
    headers: Mapping[str, str],
    body: bytes,
    received_at: datetime,
    *,
    past_s: int,
    future_s: int,
) -> str:
    """Return the label of the key that verifies the signature (`public_keys[0]`).

    `headers` has lower-case names.

    Raises:
        NotVerified: a header is missing or malformed, no key matches, or the time is more than
            `past_s` before or `future_s` after `received_at`.
    """
    timestamp = headers.get(TIMESTAMP_HEADER.lower(), "")
    if not _TIMESTAMP.fullmatch(timestamp):
        raise NotVerified(f"{TIMESTAMP_HEADER}: missing, or not ten digits")
    signature = _signature(headers.get(SIGNATURE_HEADER.lower(), ""))
    _check_age(int(received_at.timestamp()) - int(timestamp), past_s, future_s)
    signed = _signed_bytes(timestamp, body)
    for index, key in enumerate(keys):
        if _fits(key, signature, signed):
            return f"public_keys[{index}]"
    raise NotVerified(f"{SIGNATURE_HEADER}: signed with none of this source's public_keys")


def _signed_bytes(timestamp: str, body: bytes) -> bytes:
    return timestamp.encode("ascii") + body


def _der(text: str) -> bytes:
    return b64decode("".join(_PEM_LINE.sub("", text).split()), validate=True)


def _signature(header: str) -> bytes:
    try:
        signature = b64decode(header, validate=True)
    except ValueError:
        # binascii.Error is a ValueError; non-ASCII text raises a plain one.
        signature = b""
    # The last base64 character has unused bits: only the canonical encoding is accepted.
    if not signature or b64encode(signature).decode() != header:
        raise NotVerified(f"{SIGNATURE_HEADER}: missing, or not base64")
    return signature


def _check_age(age_s: int, past_s: int, future_s: int) -> None:
    if age_s > past_s:
        raise NotVerified(f"signed {age_s} s ago; at most {past_s} s. Is the clock right?")
    if -age_s > future_s:
        raise NotVerified(
            f"signed {-age_s} s in the future; at most {future_s} s. Is the clock right?"
        )


def _fits(key: EllipticCurvePublicKey, signature: bytes, signed: bytes) -> bool:
    try:
        key.verify(signature, signed, _VERIFIED_WITH)
    except InvalidSignature:
        return False
    return True
