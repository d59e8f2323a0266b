"""Signatures of Standard Webhooks `v1a`: Ed25519, with public keys `whpk_` and private `whsk_`.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from base64 import b64decode, b64encode
from collections.abc import Sequence

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from adapters.contract.signatures.standard_webhooks import StandardWebhook, standard_webhook_bytes

_PUBLIC, _PRIVATE = "whpk_", "whsk_"
_KEY_BYTES, _SIGNATURE_BYTES = 32, 64


def public_key(text: str) -> Ed25519PublicKey:
    """Parse a public key `whpk_...`.

    Raises:
        ValueError: `text` is not one.
    """
    return Ed25519PublicKey.from_public_bytes(_key_bytes(text, _PUBLIC, (_KEY_BYTES,)))


def private_key(text: str) -> Ed25519PrivateKey:
    """Parse a private key `whsk_...`: 32 bytes, or 64 of which the last 32 are the public key.

    Raises:
        ValueError: `text` is not one.
    """
    raw = _key_bytes(text, _PRIVATE, (_KEY_BYTES, 2 * _KEY_BYTES))
    return Ed25519PrivateKey.from_private_bytes(raw[:_KEY_BYTES])


def sign_v1a(key: str, message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """Return the three headers of a message, signed with the private key `whsk_...`.

    Raises:
        ValueError: the key or the message id is invalid.
    """
    signature = private_key(key).sign(standard_webhook_bytes(message_id, timestamp, body))
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1a,{b64encode(signature).decode('ascii')}",
    }


def label_of_public_key(message: StandardWebhook, keys: Sequence[Ed25519PublicKey]) -> str | None:
    """Return the label of the key (`public_keys[0]`) that verifies a `v1a` signature, or None."""
    signatures = [
        raw for text in message.of_version("v1a") if len(raw := _exactly(text)) == _SIGNATURE_BYTES
    ]
    for index, key in enumerate(keys):
        if any(_fits(key, signature, message.signed) for signature in signatures):
            return f"public_keys[{index}]"
    return None


def _fits(key: Ed25519PublicKey, signature: bytes, signed: bytes) -> bool:
    try:
        key.verify(signature, signed)
    except InvalidSignature:
        return False
    return True


def _exactly(text: bytes) -> bytes:
    """Decode canonical base64; return empty bytes for anything else."""
    try:
        raw = b64decode(text, validate=True)
    except ValueError:
        return b""
    return raw if b64encode(raw) == text else b""


def _key_bytes(text: str, prefix: str, lengths: tuple[int, ...]) -> bytes:
    if not text.startswith(prefix):
        raise ValueError(f"expected a key that starts with {prefix}")
    bare = text.removeprefix(prefix).rstrip("=")
    try:
        raw = b64decode(bare + "=" * (-len(bare) % 4), validate=True)
    except ValueError as error:
        raise ValueError(f"what follows {prefix} is not base64") from error
    if len(raw) not in lengths:
        raise ValueError(f"what follows {prefix} is not an Ed25519 key")
    return raw
