"""Secrets in the address of a request: masked before the request is stored.

Senders that cannot sign have a secret in the path; people also put one into the query, where no
adapter looks for it. Signatures of some providers cover the whole address, so that nothing else of
a query is masked: such a request can then be verified when it comes, and not again later.
"""

import hmac
from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import unquote_plus

from adapters import InboundRequest

MARK = "…"
# What stands in place of a secret in a header: a proxy's may repeat the address.
HEADER_MARK = "***"
# A shorter value would be found in headers that say something else; no secret is as short.
HEADERS_LEAST = 8
NOT_KEPT = "a secret in its address was not kept"
# Names under which a query may hold a secret that belongs into the path, whatever it is.
SECRET_NAMES = frozenset(
    {"secret", "token", "key", "apikey", "api_key", "api-key", "access_token", "auth", "password"}
)


class SourceSecrets(NamedTuple):
    """Secrets of a source, as UTF-8; `is_in_path`: its senders may have one in the path."""

    values: tuple[bytes, ...] = ()
    is_in_path: bool = False


NO_SECRETS = SourceSecrets()


class KeptAddress(NamedTuple):
    """URL and headers of a request as they are stored."""

    url: str
    headers: Mapping[str, str]


def secrets_in(settings: Mapping[str, Any], names: Collection[str]) -> tuple[bytes, ...]:
    """Return the secrets that stand in the settings `names` of a source, without blank ones."""
    texts = (text.strip() for name in names for text in _texts(settings.get(name)))
    return tuple(text.encode("utf-8", "surrogatepass") for text in texts if text)


def kept_address(request: InboundRequest, secrets: SourceSecrets) -> KeptAddress:
    """Return the URL and the headers of a request without the secrets of its source.

    A mark stands in place of a secret at the end of the path, and of each name or value of the
    query that is one. They are compared decoded, and in constant time.
    """
    address, question, query = request.url.partition("?")
    if request.path_secret is not None:
        address = f"{address}/{MARK}"
    pieces, found = [], []
    for piece in query.split("&") if query else ():
        name, equals, value = piece.partition("=")
        is_named = secrets.is_in_path and unquote_plus(name).strip().lower() in SECRET_NAMES
        if _is_one(name, secrets):
            found.append(name)
            name = MARK
        if value and (is_named or _is_one(value, secrets)):
            found.append(value)
            value = MARK
        pieces.append(name + equals + value)
    headers = _without(found, request.headers) if found else request.headers
    return KeptAddress(address + question + "&".join(pieces), headers)


def _is_one(text: str, secrets: SourceSecrets) -> bool:
    given = unquote_plus(text).strip().encode("utf-8", "surrogatepass")
    # Each is compared, so that the time does not tell which one it was.
    return sum(hmac.compare_digest(given, secret) for secret in secrets.values) > 0


def _without(found: Collection[str], headers: Mapping[str, str]) -> dict[str, str]:
    spellings = {*found, *(unquote_plus(text) for text in found)}
    masked = dict(headers)
    for spelling in spellings:
        if len(spelling) >= HEADERS_LEAST:
            masked = {n: v.replace(spelling, HEADER_MARK) for n, v in masked.items()}
    return masked


def _texts(value: Any) -> Iterator[str]:
    """Yield the texts of a setting: a text, a list of texts or a mapping to texts."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from (text for text in value.values() if isinstance(text, str))
    elif isinstance(value, list | tuple):
        yield from (text for text in value if isinstance(text, str))
