"""Template of the signed content: `{body}`, `v0:{timestamp}:{body}`, `{url}{body}`."""

import re
from collections.abc import Mapping

from adapters.contract.errors import NotVerified

PLACES = "{body} {timestamp} {url} {method} {header:X-Name}"

_PLACE = re.compile(r"\{(body|timestamp|url|method|header:[A-Za-z0-9_-]{1,100})\}")


class Template:
    """Template whose placeholders are all known and include `{body}`.

    Raises:
        ValueError: the text has other braces, or no `{body}`.
    """

    def __init__(self, text: str) -> None:
        self._literals, self._places = _PLACE.split(text)[::2], _PLACE.split(text)[1::2]
        if any(brace in literal for literal in self._literals for brace in "{}"):
            raise ValueError(f"expected a text with {PLACES} and no other braces")
        if "body" not in self._places:
            raise ValueError("expected {body} in it: what is not signed can be forged")

    @property
    def is_timed(self) -> bool:
        """Whether the timestamp is signed."""
        return "timestamp" in self._places

    @property
    def headers(self) -> tuple[str, ...]:
        """Names of the signed headers, in lower case."""
        return tuple(p.partition(":")[2].lower() for p in self._places if p.startswith("header:"))

    def signs(self, path: str) -> bool:
        """Whether the value at a path is signed: in the body, or in a header that is named."""
        kind, _, name = path.partition(":")
        return kind != "header" or not name or name.lower() in self.headers

    def fill(
        self, body: bytes, *, timestamp: str, url: str, method: str, headers: Mapping[str, str]
    ) -> bytes:
        """Return the signed bytes of a request.

        Raises:
            NotVerified: a signed header is missing.
        """
        texts = {"timestamp": timestamp, "url": url, "method": method}
        for name in self.headers:
            if name not in headers:
                raise NotVerified(f"{name}: missing, and `signs` names it")
        pieces = [_bytes(self._literals[0])]
        for place, literal in zip(self._places, self._literals[1:], strict=True):
            name = place.partition(":")[2].lower()
            text = headers[name] if name else texts.get(place, "")
            pieces += [body if place == "body" else _bytes(text), _bytes(literal)]
        return b"".join(pieces)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
