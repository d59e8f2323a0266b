"""Submission tokens: the signed time of issue and a unique nonce for each view of a form.

`<issued, hexadecimal seconds>.<nonce>.<HMAC-SHA256 of both, base64url>`
"""

import hmac
import re
from base64 import urlsafe_b64encode
from datetime import UTC, datetime
from typing import Any, NamedTuple

LIFE_S = 86_400
# Clock difference between machines that is tolerated: a token may be from the near future.
EARLY_S = 120

_TOKEN = re.compile(r"([0-9a-f]{1,10})\.([A-Za-z0-9_-]{1,64})\.([A-Za-z0-9_-]{43})", re.ASCII)


class Token(NamedTuple):
    """Token that the hub issued: its age and its nonce."""

    age_s: float
    nonce: str


def issue(key: bytes, now: datetime, nonce: str) -> str:
    """Return a signed token for one view of the form."""
    signed = f"{int(now.timestamp()):x}.{nonce}"
    return f"{signed}.{_signature(key, signed)}"


def read(key: bytes, value: Any, now: datetime) -> Token | None:
    """Return a token that the hub issued at most a day ago, None for anything else."""
    found = _TOKEN.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        return None
    issued, nonce, signature = found.groups()
    if not hmac.compare_digest(signature, _signature(key, f"{issued}.{nonce}")):
        return None
    age_s = (now.astimezone(UTC) - datetime.fromtimestamp(0, UTC)).total_seconds() - int(issued, 16)
    return Token(max(0.0, age_s), nonce) if -EARLY_S <= age_s <= LIFE_S else None


def _signature(key: bytes, signed: str) -> str:
    digest = hmac.digest(key, signed.encode("ascii"), "sha256")
    return urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")
