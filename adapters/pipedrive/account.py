"""One Pipedrive account: its address, its token, and the calls that go there."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from adapters.contract.outbound import Answer, Transport
from adapters.contract.reading import read
from adapters.contract.sending import json_body

SANDBOX = "sandbox"


class Account:
    """Sends with the token of one account; `hidden` is what no message may show."""

    def __init__(self, settings: Mapping[str, Any], transport: Transport) -> None:
        token = (settings.get("api_token") or "").strip()
        company = (settings.get("company") or "").strip().lower() or SANDBOX
        base_url = settings.get("base_url") or f"https://{company}.pipedrive.com"
        self.hidden = (token,)
        self._base_url = base_url.rstrip("/")
        self._headers = {"x-api-token": token, "accept": "application/json"}
        self._transport = transport

    def read(self, path: str, **query: str | int) -> Answer:
        """Return the answer to a call that changes nothing.

        Raises:
            NotSent: there was none.
        """
        url = f"{self._base_url}{path}?{urlencode(query)}"
        return read(self._transport, url, headers=self._headers)

    def write(self, method: str, path: str, value: Mapping[str, Any]) -> Answer:
        """Return the answer to a call that has an effect.

        Raises:
            InvalidParameters: `fields` holds what JSON has no form for.
            TransportError: there was none.
        """
        body = json_body(value, parameter="fields")
        headers = self._headers | {"content-type": "application/json"}
        return self._transport.send(method, self._base_url + path, headers=headers, body=body)
