"""A request before it is sent: its address is one that we call, its headers can be written."""

import re
from collections.abc import Mapping
from typing import Any

import requests
from requests.structures import CaseInsensitiveDict

from adapters import NotSent
from hub.gateways import guard

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def prepare(
    method: str, url: str, headers: Mapping[str, str], body: bytes
) -> requests.PreparedRequest:
    """Return the request with the session's defaults left out; a GET has no empty body.

    Raises:
        NotSent: it cannot be sent as it is.
    """
    host_of(url)
    merged: Any = CaseInsensitiveDict({"accept-encoding": "identity", "user-agent": "hub"})
    merged.update(headers)
    if not all(_HEADER_NAME.fullmatch(name) for name in merged):
        raise NotSent("a header of the request cannot be sent: its name is not one")
    try:
        return requests.Request(method, url, headers=merged, data=body or None).prepare()
    except (requests.RequestException, ValueError):
        raise NotSent("the address or a header of the request cannot be sent") from None


def host_of(url: str) -> str:
    """Return host and port of an address.

    Raises:
        NotSent: it is not one that we call.
    """
    try:
        return str(guard.read_url(url).netloc)
    except guard.AddressRefused as error:
        raise NotSent(str(error)) from None
