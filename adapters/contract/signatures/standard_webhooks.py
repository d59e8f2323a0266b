"""Signatures of Standard Webhooks and of Stripe: verification and signing.

Pure functions of secrets, headers and bytes; the only clock is `received_at`. Whatever a header
contains, the only exception that a `verify_...` raises is `NotVerified`. The plain HMAC schemes
are in `hmac`.
"""

import hmac
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from adapters.contract.errors import NotVerified
from adapters.contract.signatures.hmac import (
    any_equal,
    check_age,
    check_timestamp,
    sign_timed,
    verify_timed,
)

STRIPE_PAST_S, STRIPE_FUTURE_S = 300, 60
STANDARD_WEBHOOK_PAST_S, STANDARD_WEBHOOK_FUTURE_S = 300, 300

_SECRET_PREFIX = "whsec_"  # noqa: S105 - a prefix, not a secret


@dataclass(frozen=True, slots=True)
class StandardWebhook:
    """Message with a valid id and timestamp: its signed bytes, and its unverified signatures.

    Each signature is a pair of its version (`v1`, `v1a`) and its base64.
    """

    signed: bytes
    signatures: Sequence[tuple[str, bytes]]

    def of_version(self, version: str) -> Sequence[bytes]:
        """Return the signatures of one version."""
        return [signature for named, signature in self.signatures if named == version]


def sign_stripe(secret: str, timestamp: int, body: bytes) -> str:
    """Return the value of the `Stripe-Signature` header: ``t=<seconds>,v1=<hex>``.

    The key is the whole secret as text, including `whsec_`; it is not decoded as base64 here.
    https://docs.stripe.com/webhooks#verify-manually
    """
    return sign_timed(secret, timestamp, body)


def verify_stripe(
    secrets: Sequence[str], header: str | None, body: bytes, received_at: datetime
) -> str:
    """Return the label of the secret that signed the body (`secrets[0]`).

    The header may have several `v1` values (while a secret is rotated); other schemes are ignored.

    Raises:
        NotVerified: the header is missing or malformed, no secret matches, or the time is more
            than 300 s before or 60 s after `received_at`.
    """
    return verify_timed(
        secrets,
        header,
        body,
        received_at,
        name="Stripe-Signature",
        past_s=STRIPE_PAST_S,
        future_s=STRIPE_FUTURE_S,
    )


def sign_standard_webhook(
    secret: str, message_id: str, timestamp: int, body: bytes
) -> dict[str, str]:
    """Return the three headers of Standard Webhooks v1 (`webhook-id`, `-timestamp`, `-signature`).

    The key is the decoded base64 after `whsec_` (padding is optional); for a secret without that
    prefix, the key is its UTF-8 bytes.
    https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md

    Raises:
        ValueError: the text after `whsec_` is not base64, or `message_id` is empty or has a dot
            (dots separate the parts of the signed text, so such an id would be ambiguous).
    """
    signed = standard_webhook_bytes(message_id, timestamp, body)
    signature = _standard_signature(standard_webhook_key(secret), signed).decode("ascii")
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{signature}",
    }


def verify_standard_webhook(
    secrets: Sequence[str], headers: Mapping[str, str], body: bytes, received_at: datetime
) -> str:
    """Return the label of the secret that signed the body (`secrets[0]`).

    `headers` has lower-case names. Only `v1` is checked; other versions in the list are ignored.

    Raises:
        NotVerified: a header is missing or malformed, no secret matches, or the time is more than
            300 s from `received_at`.
    """
    message = read_standard_webhook(headers, body, received_at)
    label = label_of_secret(message, secrets)
    if label is None:
        raise NotVerified("webhook-signature: signed with none of this source's secrets")
    return label


def read_standard_webhook(
    headers: Mapping[str, str], body: bytes, received_at: datetime, *, family: str = "webhook"
) -> StandardWebhook:
    """Return the signed bytes and the signatures of a message, without verifying the signatures.

    `family` is the prefix of the headers: `webhook` (`webhook-id`) or `svix` (`svix-id`).

    Raises:
        NotVerified: a header is missing or malformed, or the time is more than 300 s from
            `received_at`.
    """
    message_id = headers.get(f"{family}-id", "")
    timestamp = headers.get(f"{family}-timestamp", "")
    if not _is_message_id(message_id):
        raise NotVerified(f"{family}-id: missing, or not printable ASCII without a dot")
    check_timestamp(f"{family}-timestamp", timestamp)
    signatures = _signatures(headers.get(f"{family}-signature", ""))
    if not signatures:
        raise NotVerified(f"{family}-signature: missing, or no version and signature")
    check_age(
        timestamp, received_at, past_s=STANDARD_WEBHOOK_PAST_S, future_s=STANDARD_WEBHOOK_FUTURE_S
    )
    return StandardWebhook(_standard_bytes(message_id, timestamp, body), signatures)


def label_of_secret(message: StandardWebhook, secrets: Sequence[str]) -> str | None:
    """Return the label of the secret (`secrets[0]`) that a `v1` signature matches, or None."""
    candidates = message.of_version("v1")
    for index, secret in enumerate(secrets):
        key = _key_or_nothing(secret)
        if key and any_equal(_standard_signature(key, message.signed), candidates):
            return f"secrets[{index}]"
    return None


def standard_webhook_bytes(message_id: str, timestamp: int, body: bytes) -> bytes:
    """Return the signed bytes of a message, which are the same in every signature version.

    Raises:
        ValueError: `message_id` is empty or has a dot.
    """
    if not _is_message_id(message_id):
        raise ValueError("a webhook-id is printable ASCII without a dot")
    return _standard_bytes(message_id, str(timestamp), body)


def standard_webhook_key(secret: str) -> bytes:
    """Return the key bytes of a Standard Webhooks secret.

    Raises:
        ValueError: the text after `whsec_` is not base64, or is empty.
    """
    if not secret.startswith(_SECRET_PREFIX):
        return secret.encode()
    text = secret.removeprefix(_SECRET_PREFIX).rstrip("=")
    try:
        key = b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError as error:
        # binascii.Error is a ValueError; non-ASCII text raises a plain one.
        raise ValueError("what follows whsec_ in the secret is not base64") from error
    if not key:
        raise ValueError("nothing follows whsec_ in the secret")
    return key


def _standard_bytes(message_id: str, timestamp: str, body: bytes) -> bytes:
    return f"{message_id}.{timestamp}.".encode("ascii") + body


def _standard_signature(key: bytes, signed: bytes) -> bytes:
    return b64encode(hmac.digest(key, signed, "sha256"))


def _signatures(header: str) -> list[tuple[str, bytes]]:
    pairs = (part.partition(",") for part in header.split(" "))
    return [
        (version, value.encode("ascii")) for version, _, value in pairs if value and value.isascii()
    ]


def _is_message_id(text: str) -> bool:
    return bool(text) and text.isascii() and text.isprintable() and "." not in text


def _key_or_nothing(secret: str) -> bytes:
    # With a blank key, anyone could sign.
    if not secret.strip():
        return b""
    try:
        return standard_webhook_key(secret)
    except ValueError:
        return b""
