"""Guarded transport: all outbound HTTP, with an SSRF guard, a deadline and a response size limit.

It follows no redirect, never retries, stores no cookie and ignores proxies in the environment.
Before a request is sent, its URL and header names are checked. Error messages name the host, never
a path, a header or a body: they are shown and logged.
"""

import http.client
import logging
import math
import os
import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3 import PoolManager, Timeout
from urllib3.exceptions import DecodeError, HTTPError, ProtocolError

from adapters import Answer, AnswerLost, NotSent
from hub.gateways.http import ssrf_guard
from hub.gateways.http.connection import POOLS, CallDeadline, call_deadline, tls_context

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_UNSENDABLE = "the address or a header of the request cannot be sent"
_HOSTS = 32
# How many URLs are remembered with the result of their check.
_URLS = 512
_BROKEN = (HTTPError, http.client.HTTPException, OSError, ValueError)
_NOT_HTTP = (http.client.BadStatusLine, http.client.LineTooLong, DecodeError)


@dataclass(frozen=True, slots=True)
class _Target:
    """Checked URL as it is sent, and the host and port that messages name."""

    url: str
    scheme: str
    host: str
    port: int | None
    netloc: str
    path: str


@lru_cache(_URLS)
def _target(url: str) -> _Target:
    """Return the target of a URL. Most calls go to few URLs, so the last ones are remembered.

    Raises:
        NotSent: the SSRF guard refuses the URL, or it cannot be sent.
    """
    try:
        ssrf_guard.read_url(url)
        ready = requests.Request("GET", url).prepare()
        parts = ssrf_guard.read_url(str(ready.url))
    except ssrf_guard.AddressRefused as error:
        raise NotSent(str(error)) from None
    except (requests.RequestException, ValueError):
        raise NotSent(_UNSENDABLE) from None
    host, scheme = str(parts.host), str(parts.scheme)
    return _Target(str(ready.url), scheme, host, parts.port, str(parts.netloc), ready.path_url)


def prepare(
    method: str, url: str, headers: Mapping[str, str], body: bytes
) -> requests.PreparedRequest:
    """Return the prepared request, without the session's default headers; an empty body is omitted.

    Raises:
        NotSent: the URL is not allowed, or a header cannot be sent.
    """
    request = requests.PreparedRequest()
    request.url = _target(url).url
    sent = {"accept-encoding": "identity", "user-agent": "hub"}
    sent.update((name.lower(), value) for name, value in headers.items())
    if not all(_HEADER_NAME.fullmatch(name) for name in sent):
        raise NotSent("a header of the request cannot be sent: its name is not one")
    try:
        request.prepare_method(method)
        request.prepare_headers(sent)
    except (requests.RequestException, ValueError):
        raise NotSent(_UNSENDABLE) from None
    request.body = body or None
    request.prepare_content_length(request.body)
    return request


# Below these levels urllib3 logs paths, and the path of a Slack webhook is its secret.
logging.getLogger("urllib3.connectionpool").setLevel(logging.WARNING)
logging.getLogger("urllib3.connection").setLevel(logging.ERROR)


class GuardedTransport:
    """Transport over pooled connections. Created once for each destination; thread-safe.

    `timeout_s` runs from the start of a call, name resolution included, to the answer's last byte.
    `max_answer_bytes` counts decompressed bytes. `ca_file` replaces the public authorities.

    A prepared request goes to the adapter of `requests` directly. A `Session` in front of it would
    merge settings, keep cookies and follow redirects, for half of the processor time of a call.
    """

    def __init__(
        self,
        *,
        timeout_s: float = 20,
        connect_timeout_s: float = 3,
        allow_private: bool = False,
        max_answer_bytes: int = 1024 * 1024,
        pool_size: int = 8,
        ca_file: str | None = None,
    ) -> None:
        self.timeout_s = timeout_s
        self._connect_timeout_s = connect_timeout_s
        self._allow_private = allow_private
        self._max_answer_bytes = max_answer_bytes
        self._action = _Action()
        certificates = ca_file or DEFAULT_CA_BUNDLE_PATH
        self._adapter = _GuardedAdapter(connect_timeout_s, timeout_s, pool_size, certificates)

    @contextmanager
    def one_action(self) -> Iterator[None]:
        """Limit all calls of this thread inside the block to one `timeout_s` in total."""
        self._action.ends_at_s = time.monotonic() + self.timeout_s
        try:
            yield
        finally:
            self._action.ends_at_s = math.inf

    def left_s(self) -> float:
        """Return the seconds left for this thread's action; outside of one, for a single call."""
        return min(self.timeout_s, max(0.0, self._action.ends_at_s - time.monotonic()))

    def pause(self, seconds: float) -> None:
        """Wait that many seconds; no connection is held meanwhile."""
        time.sleep(seconds)

    def send(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes = b""
    ) -> Answer:
        """Return the complete answer with any status; a redirect is an answer too.

        Raises:
            NotSent: no byte of the request was written, or the SSRF guard refuses the URL.
            AnswerLost: the request may have been processed.
        """
        request = prepare(method, url, headers, body)
        deadline_s = min(time.monotonic() + self.timeout_s, self._action.ends_at_s)
        call = CallDeadline(deadline_s, self._connect_timeout_s, self._allow_private)
        try:
            with call_deadline(call):
                response = self._adapter.send(request)
                body = self._read(response.raw)
        except _BROKEN as error:
            host = _target(str(request.url)).netloc
            if not call.sent:
                raise NotSent(f"{host}: {_not_sent(error)}") from error
            raise AnswerLost(f"{host}: {self._lost(error, call)}") from error
        named = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status_code, named, body)

    def _read(self, raw: Any) -> bytes:
        limit = self._max_answer_bytes
        whole = False
        try:
            body: bytes = raw.read(limit + 1, decode_content=True)
            whole = len(body) <= limit
        finally:
            if whole:
                raw.release_conn()
            else:
                raw.close()
        if not whole:
            raise _TooLarge
        return body

    def _lost(self, error: Exception, call: CallDeadline) -> str:
        if isinstance(error, _TooLarge):
            return f"its answer is larger than {self._max_answer_bytes // 1024} KiB"
        if time.monotonic() >= call.deadline:
            return f"no whole answer came within {self.timeout_s:g} s"
        inner = error.args[-1] if isinstance(error, ProtocolError) else error
        if isinstance(inner, _NOT_HTTP) and not isinstance(inner, OSError):
            return "what it answered is not HTTP that we can read"
        return "the connection broke before a whole answer was read"


class _Action(threading.local):
    """Deadline of the current thread's action (monotonic time)."""

    ends_at_s = math.inf


class _GuardedAdapter(HTTPAdapter):
    """Adapter over guarded connections; it ignores proxies, certificates and time-outs given it."""

    def __init__(
        self, connect_timeout_s: float, timeout_s: float, pool_size: int, ca_file: str
    ) -> None:
        self._connect_timeout_s = connect_timeout_s
        self._timeout_s = timeout_s
        self._tls_context = tls_context(ca_file)
        super().__init__(pool_connections=_HOSTS, pool_maxsize=pool_size)

    def init_poolmanager(
        self, connections: int, maxsize: int, block: bool = False, **pool_kwargs: Any
    ) -> None:
        self._pool_maxsize = maxsize
        self._process_id = os.getpid()
        self.poolmanager = PoolManager(
            num_pools=connections,
            maxsize=maxsize,
            ssl_context=self._tls_context,
            cert_reqs="CERT_REQUIRED",
        )
        self.poolmanager.pool_classes_by_scheme = dict(POOLS)

    def send(
        self, request: requests.PreparedRequest, *args: Any, **kwargs: Any
    ) -> requests.Response:
        """Send a request; return the head of its answer, of which the body is still to be read."""
        if self._process_id != os.getpid():
            # After a fork, drop the parent's connections: two processes must never share one.
            self.init_poolmanager(_HOSTS, self._pool_maxsize)
        target = _target(str(request.url))
        pool = self.poolmanager.connection_from_host(target.host, target.port, target.scheme)
        raw = pool.urlopen(
            request.method or "GET",
            target.path,
            request.body,
            dict(request.headers),
            retries=False,
            redirect=False,
            assert_same_host=False,
            preload_content=False,
            timeout=Timeout(self._connect_timeout_s, self._timeout_s),
            chunked=request.body is not None and "Content-Length" not in request.headers,
        )
        return self.build_response(request, raw)


class _TooLarge(ValueError):
    """Answer that exceeds `max_answer_bytes`."""


def _not_sent(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "could not be connected to in time"
    return "the request could not be sent"
