"""Prove who sent a webhook, and prove it for our own: each scheme can verify and sign.

Schemes are plain functions of secrets, headers and bytes; the only clock is `received_at`.
Whatever stands in a header, the one exception that leaves a `verify_...` is `NotVerified`.
"""

import binascii
import hmac
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from datetime import datetime

from adapters.contract.errors import NotVerified

STRIPE_PAST_S, STRIPE_FUTURE_S = 300, 60
STANDARD_WEBHOOK_PAST_S, STANDARD_WEBHOOK_FUTURE_S = 300, 300

_TIMESTAMP_DIGITS = 12
_HEX_SHA256_LENGTH = 64
_SECRET_PREFIX = "whsec_"  # noqa: S105 (a mark, not a secret)


def sign_stripe(secret: str, timestamp: int, body: bytes) -> str:
    """Return the `Stripe-Signature` header: ``t=<seconds>,v1=<hex>``.

    The key is the whole secret as text; its `whsec_` part is not base64 here.
    https://docs.stripe.com/webhooks#verify-manually
    """
    signature = _stripe_signature(secret, str(timestamp), body).decode("ascii")
    return f"t={timestamp},v1={signature}"


def verify_stripe(
    secrets: Sequence[str], header: str | None, body: bytes, received_at: datetime
) -> str:
    """Return the label of the secret that signed the body (`secrets[0]`).

    Several `v1` values may stand in the header (a secret being rolled), other schemes are ignored.

    Raises:
        NotVerified: the header is missing or garbled, no secret fits, or the time is more than
            300 s past or 60 s ahead of `received_at`.
    """
    timestamp, candidates = _read_stripe_header(header)
    _check_age(timestamp, received_at, past_s=STRIPE_PAST_S, future_s=STRIPE_FUTURE_S)
    for index, secret in enumerate(secrets):
        # A blank key would let anybody sign.
        if secret.strip() and _any_equal(_stripe_signature(secret, timestamp, body), candidates):
            return f"secrets[{index}]"
    raise NotVerified("Stripe-Signature: signed with none of this source's secrets")


def sign_standard_webhook(
    secret: str, message_id: str, timestamp: int, body: bytes
) -> dict[str, str]:
    """Return the three headers of Standard Webhooks v1 (`webhook-id`, `-timestamp`, `-signature`).

    The key is the base64 after `whsec_` (its padding may be missing); a secret without that prefix
    is used as its UTF-8 bytes.
    https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md

    Raises:
        ValueError: what follows `whsec_` is not base64, or `message_id` is empty or has a dot
            (the dot parts the signed text, so such an id would be ambiguous).
    """
    if not _is_message_id(message_id):
        raise ValueError("a webhook-id is printable ASCII without a dot")
    key = standard_webhook_key(secret)
    signature = _standard_signature(key, message_id, str(timestamp), body).decode("ascii")
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{signature}",
    }


def verify_standard_webhook(
    secrets: Sequence[str], headers: Mapping[str, str], body: bytes, received_at: datetime
) -> str:
    """Return the label of the secret that signed the body (`secrets[0]`); `headers` lower-case.

    Only `v1` is checked; other versions in the list are ignored.

    Raises:
        NotVerified: a header is missing or garbled, no secret fits, or the time is more than
            300 s from `received_at`.
    """
    message_id = headers.get("webhook-id", "")
    timestamp = headers.get("webhook-timestamp", "")
    if not _is_message_id(message_id):
        raise NotVerified("webhook-id: missing, or not printable ASCII without a dot")
    _check_timestamp("webhook-timestamp", timestamp)
    candidates = _standard_candidates(headers.get("webhook-signature", ""))
    _check_age(
        timestamp, received_at, past_s=STANDARD_WEBHOOK_PAST_S, future_s=STANDARD_WEBHOOK_FUTURE_S
    )
    for index, secret in enumerate(secrets):
        key = _key_or_nothing(secret)
        if key and _any_equal(_standard_signature(key, message_id, timestamp, body), candidates):
            return f"secrets[{index}]"
    raise NotVerified("webhook-signature: signed with none of this source's secrets")


def standard_webhook_key(secret: str) -> bytes:
    """Return the bytes that a Standard Webhooks secret stands for.

    Raises:
        ValueError: what follows `whsec_` is not base64, or nothing follows.
    """
    if not secret.startswith(_SECRET_PREFIX):
        return secret.encode()
    text = secret.removeprefix(_SECRET_PREFIX).rstrip("=")
    try:
        key = b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError as error:  # binascii.Error is one; non-ASCII text gives a plain one
        raise ValueError("what follows whsec_ in the secret is not base64") from error
    if not key:
        raise ValueError("nothing follows whsec_ in the secret")
    return key


def _stripe_signature(secret: str, timestamp: str, body: bytes) -> bytes:
    digest = hmac.digest(secret.encode(), b"%b.%b" % (timestamp.encode("ascii"), body), "sha256")
    return binascii.hexlify(digest)


def _standard_signature(key: bytes, message_id: str, timestamp: str, body: bytes) -> bytes:
    head = f"{message_id}.{timestamp}.".encode("ascii")
    return b64encode(hmac.digest(key, head + body, "sha256"))


def _read_stripe_header(header: str | None) -> tuple[str, list[bytes]]:
    if not header:
        raise NotVerified("Stripe-Signature: missing")
    timestamp: str | None = None
    candidates = []
    for part in header.split(","):
        name, _, value = part.partition("=")
        if name == "v1":
            if len(value) == _HEX_SHA256_LENGTH and value.isascii():
                candidates.append(value.encode("ascii"))
        elif name == "t":
            if timestamp is not None:
                raise NotVerified("Stripe-Signature: more than one t")
            timestamp = value
    _check_timestamp("Stripe-Signature: t", timestamp or "")
    if not candidates:
        raise NotVerified("Stripe-Signature: no v1 signature")
    return timestamp or "", candidates


def _standard_candidates(header: str) -> list[bytes]:
    pairs = (part.partition(",") for part in header.split(" "))
    candidates = [
        value.encode("ascii") for version, _, value in pairs if version == "v1" and value.isascii()
    ]
    if not candidates:
        raise NotVerified("webhook-signature: missing, or no v1 signature")
    return candidates


def _check_timestamp(name: str, text: str) -> None:
    # isdigit alone lets Arabic and superscript digits pass, int alone spaces and underscores.
    if not (text.isascii() and text.isdigit() and len(text) <= _TIMESTAMP_DIGITS):
        raise NotVerified(f"{name}: missing, or not 1 to {_TIMESTAMP_DIGITS} digits")


def _check_age(timestamp: str, received_at: datetime, *, past_s: int, future_s: int) -> None:
    age_s = int(received_at.timestamp()) - int(timestamp)
    if age_s > past_s:
        raise NotVerified(
            f"signed {age_s} s ago; at most {past_s} s. Is this machine's clock right?"
        )
    if -age_s > future_s:
        raise NotVerified(
            f"signed {-age_s} s in the future; at most {future_s} s. Is this machine's clock right?"
        )


def _any_equal(expected: bytes, candidates: Sequence[bytes]) -> bool:
    return any(hmac.compare_digest(expected, candidate) for candidate in candidates)


def _is_message_id(text: str) -> bool:
    return bool(text) and text.isascii() and text.isprintable() and "." not in text


def _key_or_nothing(secret: str) -> bytes:
    try:
        return standard_webhook_key(secret)
    except ValueError:
        return b""
