"""Signatures of HubSpot's webhooks, versions 1 to 3.

v3 is keyed and has a timestamp; v1 and v2 are plain hashes of a text that begins with the secret.

https://developers.hubspot.com/docs/apps/legacy-apps/authentication/validating-requests
"""

import re
from collections.abc import Sequence
from hashlib import sha256

from adapters.contract.errors import NotVerified
from adapters.contract.request import InboundRequest
from adapters.contract.signatures.hmac import any_equal, check_age, sign_hmac, verify_hmac

VERSIONS = ("v1", "v2", "v3")
PAST_S, FUTURE_S = 300, 60
V3_HEADER = "X-HubSpot-Signature-v3"
TIME_HEADER = "X-HubSpot-Request-Timestamp"
HEADER = "X-HubSpot-Signature"
VERSION_HEADER = "X-HubSpot-Signature-Version"

_MILLISECONDS = re.compile(r"[0-9]{4,15}", re.ASCII)
_DECODED = re.compile(r"%(3A|2F|3F|40|21|24|27|28|29|2A|2C|3B)", re.IGNORECASE)


def verify(secrets: Sequence[str], request: InboundRequest, versions: Sequence[str]) -> str:
    """Return the label of the secret that signed the request (`secrets[0]`).

    v3 counts whenever its header is present, so a sender cannot bypass it with an older signature.

    Raises:
        NotVerified: a header is missing or malformed, the version is not among `versions`, no
            secret fits, or (v3) the time is more than 300 s past or 60 s ahead.
    """
    v3 = request.headers.get(V3_HEADER.lower())
    if v3 is not None and "v3" in versions:
        return _verify_v3(secrets, request, v3)
    version = request.headers.get(VERSION_HEADER.lower())
    if version is None and HEADER.lower() not in request.headers:
        raise NotVerified(f"{V3_HEADER}: missing")
    if version not in ("v1", "v2"):
        raise NotVerified(f"{VERSION_HEADER}: missing, or neither v1 nor v2")
    if version not in versions:
        raise NotVerified(
            f"{VERSION_HEADER}: this source does not accept {version}, which has no time and can "
            "be sent again for ever; an app that cannot sign v3 needs "
            f"`signatures: [v3, {version}]`"
        )
    return _verify_plain(secrets, request, version)


def sign_v3(secret: str, method: str, url: str, body: bytes, timestamp_ms: int) -> str:
    """Return `X-HubSpot-Signature-v3`: base64, keyed with the app's client secret."""
    signed = _v3_bytes(method, url, body, str(timestamp_ms))
    return sign_hmac(secret, signed, encoding="base64")


def sign_plain(secret: str, version: str, method: str, url: str, body: bytes) -> str:
    """Return `X-HubSpot-Signature` of v1 (the body alone) or v2 (method and URL too), as hex.

    A sender who has seen a plain hash can extend its text, but only with bytes that are not UTF-8:
    such a body does not verify.
    """
    head = f"{method}{url}" if version == "v2" else ""
    return sha256(_bytes(secret) + _bytes(head) + body).hexdigest()


def decoded(url: str) -> str:
    """Return the URL as v3 signs it: twelve escapes decoded, the others left unchanged."""
    return _DECODED.sub(lambda found: chr(int(found[1], 16)), url)


def _verify_v3(secrets: Sequence[str], request: InboundRequest, header: str) -> str:
    timestamp = request.headers.get(TIME_HEADER.lower(), "")
    if not _MILLISECONDS.fullmatch(timestamp):
        raise NotVerified(f"{TIME_HEADER}: missing, or not 4 to 15 digits")
    check_age(timestamp[:-3], request.received_at, past_s=PAST_S, future_s=FUTURE_S)
    signed = _v3_bytes(request.method, request.url, request.body, timestamp)
    return verify_hmac(secrets, header, signed, name=V3_HEADER, encoding="base64")


def _verify_plain(secrets: Sequence[str], request: InboundRequest, version: str) -> str:
    header = request.headers.get(HEADER.lower(), "").encode("utf-8", "replace")
    try:
        request.body.decode()
    except UnicodeDecodeError:
        raise NotVerified(f"{HEADER}: the body is not UTF-8; was something added to it?") from None
    for index, secret in enumerate(secrets):
        expected = sign_plain(secret, version, request.method, request.url, request.body)
        # With a blank secret, any sender could sign.
        if secret.strip() and any_equal(expected.encode("ascii"), [header]):
            return f"secrets[{index}]"
    raise NotVerified(f"{HEADER}: signed with none of this source's secrets")


def _v3_bytes(method: str, url: str, body: bytes, timestamp: str) -> bytes:
    return _bytes(f"{method}{decoded(url)}") + body + _bytes(timestamp)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
