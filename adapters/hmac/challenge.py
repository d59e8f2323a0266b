"""Handshake by which a sender verifies the webhook URL: an echoed GET, or a signed POST."""

import hmac
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from adapters.contract.errors import NotVerified, Unreadable
from adapters.contract.form_bodies import read_form
from adapters.contract.inbound import Reply
from adapters.contract.request import InboundRequest
from adapters.hmac.body import read_body, value_at

MAX_ECHO = 1000
MAX_CHALLENGE_BYTES = 16 * 1024


class Challenge:
    """Handshake as the setting `challenge` describes it."""

    def __init__(self, settings: Mapping[str, Any], type_path: str | None) -> None:
        self._query = settings.get("query")
        self._token_query = settings.get("token_query")
        self._token = settings.get("token", "")
        self._field = settings.get("body")
        self._type = settings.get("type")
        self._type_path = type_path

    def answer(
        self, request: InboundRequest, verify: Callable[[InboundRequest], str]
    ) -> Reply | None:
        """Return the challenge as plain text, or None if the request is not a handshake.

        Raises:
            NotVerified: the token is wrong, the POST is not signed, or the query or the challenge
                is malformed.
        """
        if self._query and request.method == "GET":
            return self._answer_get(_query(request.url))
        if self._field and request.method == "POST" and (asked := self._asked(request)):
            verify(request)
            return _echo(asked)
        return None

    def _answer_get(self, query: Mapping[str, str]) -> Reply | None:
        asked = query.get(self._query or "")
        if asked is None:
            return None
        given = query.get(self._token_query, "") if self._token_query else ""
        if not hmac.compare_digest(_bytes(given), _bytes(self._token)):
            raise NotVerified(f"{self._token_query}: not the token of this source's `challenge`")
        return _echo(asked)

    def _asked(self, request: InboundRequest) -> str | None:
        # It may come unsigned: nothing that is larger is read before it is verified.
        if len(request.body) > MAX_CHALLENGE_BYTES:
            return None
        try:
            native = read_body(request)
            if self._type and value_at(self._type_path or "", request, native) != self._type:
                return None
        except Unreadable:
            return None
        asked = native.get(str(self._field))
        return asked if isinstance(asked, str) and asked else None


def _echo(text: str) -> Reply:
    if len(text) > MAX_ECHO or not text.isprintable():
        raise NotVerified(f"the challenge is not one line of at most {MAX_ECHO} characters")
    return Reply(body=text.encode(), content_type="text/plain; charset=utf-8")


def _query(url: str) -> dict[str, str]:
    try:
        return dict(read_form(urlsplit(url).query.encode()))
    except (ValueError, Unreadable):
        raise NotVerified("the address has no query that can be read") from None


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
