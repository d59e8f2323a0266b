"""Signature of Twilio's webhooks: an HMAC over the URL and every form field, in order of names.

https://www.twilio.com/docs/usage/security#validating-requests. The official library's
`RequestValidator` computes what a signature must be. Its own `validate` is not used: it raises
exceptions of its own for a header or a body that is odd, takes a URL with an IPv6 address or a user
name apart wrongly, and takes a blank secret. Verification raises no exception but `NotVerified`.
"""

import hmac
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from urllib.parse import parse_qs

from twilio.request_validator import RequestValidator

from adapters.contract.errors import NotVerified, Unreadable
from adapters.contract.form_bodies import media_type, read_form
from adapters.contract.request import InboundRequest

SIGNATURE = "x-twilio-signature"
SIGNATURE_SETTINGS = "x-twilio-webhooks-signature-settings"
FORM = "application/x-www-form-urlencoded"

_SHA1 = "HMAC_SHA1"
_HASHES = {_SHA1: "sha1", "HMAC_SHA256": "sha256"}
_DEFAULT_PORTS = {"https": "443", "http": "80"}

Fields = Sequence[tuple[str, str]]


def sign(secret: str, url: str, fields: Fields, algorithm: str = _SHA1) -> str:
    """Return the `X-Twilio-Signature` of a request to `url`; `algorithm` as its header names it."""
    return _signature(secret, url + _joined(fields), algorithm).decode()


def query_values(url: str, name: str) -> Sequence[str]:
    """Return all values of a query parameter."""
    # `urlsplit` would raise for an invalid host, which does not matter here.
    return parse_qs(url.partition("?")[2]).get(name, ())


def is_form(request: InboundRequest) -> bool:
    """Return whether the content type says that the body is a URL-encoded form."""
    return media_type(request.headers.get("content-type"))[0] == FORM


def signed_fields(request: InboundRequest) -> Fields:
    """Return the form fields that the signature covers.

    A body that is not a form is covered by `bodySHA256` in the signed URL, which is checked here.

    Raises:
        NotVerified: the body is neither a readable form nor covered, or its digest is different.
    """
    fields = _form(request) if is_form(request) else ()
    if fields:
        return fields
    claimed = query_values(request.url, "bodySHA256")
    if not claimed:
        if request.body:
            raise NotVerified("the body is neither a form nor named by bodySHA256 in the address")
    elif not _equal(sha256(request.body).hexdigest().encode(), claimed[0].lower()):
        raise NotVerified("bodySHA256 in the address is not the digest of the body")
    return ()


def named_key(header: str | None) -> tuple[str | None, str]:
    """Return the id of the SharedKey that signed (None for an auth token) and the algorithm.

    Raises:
        NotVerified: the header names an unknown algorithm.
    """
    said: dict[str, str] = {}
    for part in (header or "").split(","):
        name, _, value = part.partition("=")
        said.setdefault(name.strip(), value.strip())
    algorithm = said.get("algorithm", "").upper() or _SHA1
    if algorithm not in _HASHES:
        raise NotVerified("X-Twilio-Webhooks-Signature-Settings: unknown algorithm")
    return said.get("key") or None, algorithm


def verify(
    secrets: Mapping[str, str],
    headers: Mapping[str, str],
    url: str,
    fields: Fields,
    algorithm: str = _SHA1,
) -> str:
    """Return the label of the secret that signed; `secrets` maps labels to values.

    The URL is verified with and without its port: Twilio's own services differ in that.

    Raises:
        NotVerified: there is no signature, or it was made with none of `secrets`.
    """
    header = headers.get(SIGNATURE, "")
    if not header:
        raise NotVerified("X-Twilio-Signature: missing")
    tail = _joined(fields)
    texts = [spelling + tail for spelling in _spellings(url)]
    for label, secret in secrets.items():
        # With a blank key, any sender could sign; the library takes one.
        if secret.strip() and any(
            _equal(_signature(secret, text, algorithm), header) for text in texts
        ):
            return label
    raise NotVerified(
        "X-Twilio-Signature: signed with none of this source's secrets, or for another address; "
        "is HUB_PUBLIC_URL the address that Twilio calls?"
    )


def _form(request: InboundRequest) -> Fields:
    try:
        return read_form(request.body)
    except Unreadable as error:
        raise NotVerified(str(error)) from None


def _joined(fields: Fields) -> str:
    """Return the sorted names and values, joined; a repeated name counts once with each value."""
    return "".join(name + value for name, value in sorted(set(fields)))


def _signature(secret: str, text: str, algorithm: str) -> bytes:
    """Return the signature of the URL with the joined fields.

    The library could join the fields itself, but does so once for each secret and each spelling of
    the URL: anybody could post a thousand fields, 0.4 ms each time.
    """
    try:
        signed: str = RequestValidator(secret).compute_signature(text, {}, algorithm)
    except UnicodeEncodeError:
        # The library takes text; bytes that are not UTF-8 are signed as they came.
        raw = text.encode("utf-8", "surrogateescape")
        return b64encode(hmac.digest(secret.encode(), raw, _HASHES[algorithm]))
    return signed.encode("ascii")


def _equal(expected: bytes, given: str) -> bool:
    return given.isascii() and hmac.compare_digest(expected, given.encode())


def _spellings(url: str) -> Iterable[str]:
    scheme, mark, rest = url.partition("://")
    end = min((at for at in (rest.find(c) for c in "/?#") if at >= 0), default=len(rest))
    authority, tail = rest[:end], rest[end:]
    host, colon, port = authority.rpartition(":")
    if colon and port.isdigit():
        return url, scheme + mark + host + tail
    default = _DEFAULT_PORTS.get(scheme.lower())
    return (url, f"{scheme}{mark}{authority}:{default}{tail}") if default else (url,)
