"""Requests of Twilio's official library, sent through the hub's transport.

The library chooses the address, the fields and the credentials of each request. Its modules take
8 MB, so this one is imported by the first call, in the processes that make calls. Answers are read
elsewhere, from the bytes that came: before the library tells that a message was taken, it reads
dates and numbers, and whatever they raise would hide that it was sent; it reads the offset of no
time, and a list with a key that it does not know is an error to it.
"""

import logging
import threading
from base64 import b64encode
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from twilio.base.exceptions import TwilioException
from twilio.http import HttpClient
from twilio.http.response import Response
from twilio.rest import Client

from adapters.contract.answers import read
from adapters.contract.errors import AnswerLost
from adapters.contract.outbound import Answer, Transport
from adapters.twilio.api import API
from adapters.twilio.signature import FORM

# What the library is told of every answer: nothing that it could fail to read.
_NOTHING = '{"records": []}'
# The library looks here for credentials that are blank, and for a region, which is another host;
# an empty mapping would mean the variables of the process.
_ENVIRONMENT = {"TWILIO_AUTH_TOKEN": ""}


@dataclass(frozen=True, slots=True)
class Exchange:
    """Request of the library (its path, with the query) and the whole answer."""

    path: str
    answer: Answer


class TransportHttpClient(HttpClient):  # type: ignore[misc]  # the library has no types
    """HTTP client of the library that sends through a `Transport`.

    It logs nothing (the library's own logs addresses and numbers), follows no redirect and never
    retries. `base_url` takes the place of the library's own.
    """

    def __init__(self, base_url: str, transport: Transport) -> None:
        super().__init__(logging.getLogger(__name__), is_async=False)
        self._base_url = base_url
        self._transport = transport
        # `exchange`: the last request of this thread and its answer.
        self.thread = threading.local()

    def request(
        self,
        method: str,
        uri: str,
        params: Mapping[str, Any] | None = None,
        data: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] = ("", ""),
        timeout: float | None = None,
        allow_redirects: bool = False,
    ) -> Response:
        """Send a request of the library; keep the answer for this thread.

        A GET is read-only: its answer cannot be lost. The library's headers, which describe the
        machine, stay here, and so do time limits and redirects, which are the transport's own.

        Raises:
            NotSent: no byte of the request was written, or a GET was not answered.
            AnswerLost: the request may have been processed.
        """
        path = uri.removeprefix(API) + (f"?{urlencode(params)}" if params else "")
        basic = b64encode(":".join(auth).encode()).decode("ascii")
        sent = {"accept": "application/json", "authorization": f"Basic {basic}"}
        if method == "GET":
            answer = read(self._transport, self._base_url + path, headers=sent)
        else:
            sent["content-type"] = FORM
            body = urlencode(data or {}, doseq=True).encode("ascii")
            answer = self._transport.send(method, self._base_url + path, headers=sent, body=body)
        self.thread.exchange = Exchange(path, answer)
        return Response(answer.status, _NOTHING, answer.headers)


class TwilioLibrary:
    """Client of the official library for one account, shared by many threads.

    Basic authentication is by `user`, an account or an API key, and `secret`; `account_sid` names
    the account in either case.
    """

    def __init__(
        self, user: str, secret: str, account_sid: str, *, base_url: str, transport: Transport
    ) -> None:
        self._http = TransportHttpClient(base_url, transport)
        self._client = Client(
            user, secret, account_sid, http_client=self._http, environment=_ENVIRONMENT
        )

    @property
    def messages(self) -> Any:
        """The account's messages: `page` and `get_page` list them, `create` sends one."""
        return self._client.messages

    @property
    def account(self) -> Any:
        """The account itself, to `fetch`."""
        return self._client.api.v2010.accounts(self._client.account_sid)

    def exchange(self, ask: Callable[[], object]) -> Exchange:
        """Return the request that `ask` makes of this client, and its answer, whatever its status.

        Raises:
            NotSent: no byte of the request was written, or a GET was not answered.
            AnswerLost: the request may have been processed.
        """
        thread = self._http.thread
        thread.exchange = None
        # The text of its exceptions quotes the address; the answer itself says the same.
        with suppress(TwilioException):
            ask()
        made: Exchange | None = thread.exchange
        if made is None:
            raise AnswerLost("there is no answer of Twilio's library; it may have made no request")
        return made
