"""Rejection reasons of inbound requests in plain words, with advice for the operator."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Advice:
    """Advice on a rejection. `words`: the cause, without its full stop; `hint`: what to do.

    `quotes`: the words are the reason's own, and may quote what came from outside.
    """

    words: str
    hint: str
    quotes: bool = False


_BEHIND_PROXY = Advice(
    "It was signed for an https address, and reached the hub as http: a proxy is in between",
    "Set HUB_PUBLIC_URL to the address that the provider calls, restart the hub, and verify again.",
)
_OTHER_ADDRESS = (
    "Its signature covers the address: it was signed for another one than {origin}, or with "
    "another secret"
)
_KINDS: tuple[tuple[str, str, str], ...] = (
    (r"of this form's `origins`",
     "It was sent from a page of another website",
     "If that page is yours, put its origin into `origins` of this source in hub.yaml."),
    (r"^422: wrong or missing",
     "A form came without what this source asks for",
     "Let the form on the website and `fields` in hub.yaml name the same fields."),
    (r"is this machine's clock right|is the clock right",
     "It was signed too long ago, or in the future",
     "Set this machine's clock by a time server. A provider signs anew when it sends again."),
    (r"signed with none of this source's|fits none of this source's",
     "It was signed with another secret than this source's",
     "Copy the secret from the provider again into the settings and restart the hub; while it is "
     "being replaced, list both. Then verify again."),
    (r"the path is none|no secret in the path",
     "The secret at the end of its address is missing or wrong",
     "Paste the address at the provider again, with the secret of this source at its end."),
    (r"is not the digest of the body",
     "Its body was changed on the way",
     "Look for a proxy that rewrites requests; the hub needs them byte for byte."),
    (r"missing|no v1 signature|neither v1 nor v2|not base64|not \w+ digits",
     "It bore no signature that can be read",
     "A stranger, a test by hand, or a proxy that drops headers. If it was the provider, switch "
     "signing on there."),
    (r"SharedKey", "It was signed with a key that this source does not know",
     "Add that key to the source in hub.yaml, restart the hub, and verify again."),
    (r"^(405|400|408|413|415|431): ", "It was refused before its signature was looked at",
     "A stranger, or a wrong address at the provider: compare it with the one above."),
)  # fmt: skip
_COMPILED = tuple((re.compile(pattern, re.I), words, hint) for pattern, words, hint in _KINDS)
_OF_ADDRESS = re.compile(r"for another address|HUB_PUBLIC_URL", re.I)


def advice_for(
    reason: str, *, url: str = "", headers: Mapping[str, Any] | None = None, public_url: str | None
) -> Advice:
    """Return advice on a rejection. `url` and `headers` are the request's, if they were stored."""
    if _OF_ADDRESS.search(reason):
        if _came_by_https(url, headers or {}):
            return _BEHIND_PROXY
        told = "Set HUB_PUBLIC_URL to" if public_url is None else "Let HUB_PUBLIC_URL be"
        return Advice(
            _OTHER_ADDRESS.format(origin=_origin(url)),
            f"{told} exactly the address that the provider calls, and compare the secret. Then "
            "restart the hub and verify again.",
        )
    for pattern, words, hint in _COMPILED:
        if pattern.search(reason):
            return Advice(words, hint)
    return Advice(
        reason[:1].upper() + reason[1:].rstrip("."),
        "It is kept. Take it in again once the hub, or this source in hub.yaml, knows this form.",
        quotes=True,
    )


def _came_by_https(url: str, headers: Mapping[str, Any]) -> bool:
    """Return whether a proxy received the request by https and forwarded it by http."""
    forwarded = str(headers.get("x-forwarded-proto", "")).split(",")[0].strip().lower()
    return url.startswith("http://") and forwarded == "https"


def _origin(url: str) -> str:
    try:
        split = urlsplit(url)
    except ValueError:
        return "the hub's"
    return f"{split.scheme}://{split.netloc}" if split.netloc else "the hub's"
