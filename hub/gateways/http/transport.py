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
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3 import PoolManager, Timeout
from urllib3.exceptions import DecodeError, HTTPError, ProtocolError

from adapters import Answer, AnswerLost, NotSent, TransportError
from hub.gateways.http import ssrf_guard
from hub.gateways.http.connection import POOLS, CallDeadline, call_deadline, tls_context

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HOSTS = 32
_BROKEN = (HTTPError, http.client.HTTPException, OSError, ValueError)
_NOT_HTTP = (http.client.BadStatusLine, http.client.LineTooLong, DecodeError)


def prepare(
    method: str, url: str, headers: Mapping[str, str], body: bytes
) -> requests.PreparedRequest:
    """Return the prepared request, without the session's default headers; an empty body is omitted.

    Raises:
        NotSent: the URL is not allowed, or a header cannot be sent.
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
    """Return host and port of a URL.

    Raises:
        NotSent: the SSRF guard refuses the URL.
    """
    try:
        return str(ssrf_guard.read_url(url).netloc)
    except ssrf_guard.AddressRefused as error:
        raise NotSent(str(error)) from None


# Below these levels urllib3 logs paths, and the path of a Slack webhook is its secret.
logging.getLogger("urllib3.connectionpool").setLevel(logging.WARNING)
logging.getLogger("urllib3.connection").setLevel(logging.ERROR)


@dataclass(frozen=True, slots=True)
class _Limits:
    timeout_s: float
    connect_timeout_s: float
    allow_private: bool
    max_answer_bytes: int


class GuardedTransport:
    """Transport over pooled connections. Created once for each destination; thread-safe.

    `timeout_s` runs from the start of a call, name resolution included, to the answer's last byte.
    `max_answer_bytes` counts decompressed bytes. `ca_file` replaces the public authorities.
    `session` is for SDKs that take one: the same guard, deadline and size limit apply, and its
    exceptions have a `NotSent` or `AnswerLost` as `__cause__`.
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
        limits = _Limits(timeout_s, connect_timeout_s, allow_private, max_answer_bytes)
        self.timeout_s = timeout_s
        self._action = _Action()
        self.session = _Session()
        self.session.adapters.clear()
        certificates = ca_file or DEFAULT_CA_BUNDLE_PATH
        adapter = _GuardedAdapter(limits, pool_size, certificates, self._action)
        self.session.mount("https://", adapter)
        self.session.mount("http://", adapter)

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
        try:
            response = self.session.send(request)
        except requests.RequestException as error:
            raise _why(error) from None
        return Answer(
            response.status_code,
            {name.lower(): value for name, value in response.headers.items()},
            response.content,
        )


class _Action(threading.local):
    """Deadline of the current thread's action (monotonic time)."""

    ends_at_s = math.inf


class _Session(requests.Session):
    """Session without state: no cookies, no redirects, no settings from the environment."""

    def __init__(self) -> None:
        super().__init__()
        self.trust_env = False
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))

    def get_redirect_target(self, resp: requests.Response) -> None:
        return None


class _GuardedAdapter(HTTPAdapter):
    """Adapter that sends every request of the session; ignores proxies, certificates, time-outs."""

    def __init__(self, limits: _Limits, pool_size: int, ca_file: str, action: "_Action") -> None:
        self._limits = limits
        self._action = action
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
        try:
            return self._send(request)
        except TransportError as error:
            raise requests.ConnectionError(str(error), request=request) from error

    def _send(self, request: requests.PreparedRequest) -> requests.Response:
        limits = self._limits
        deadline_s = min(time.monotonic() + limits.timeout_s, self._action.ends_at_s)
        call = CallDeadline(deadline_s, limits.connect_timeout_s, limits.allow_private)
        host = host_of(request.url or "")
        try:
            with call_deadline(call):
                raw = self._open(request)
                return self._read(request, raw)
        except _BROKEN as error:
            if not call.sent:
                raise NotSent(f"{host}: {_not_sent(error)}") from error
            raise AnswerLost(f"{host}: {self._lost(error, call)}") from error

    def _open(self, request: requests.PreparedRequest) -> Any:
        if self._process_id != os.getpid():
            # After a fork, drop the parent's connections: two processes must never share one.
            self.init_poolmanager(_HOSTS, self._pool_maxsize)
        pool = self.poolmanager.connection_from_url(request.url or "")
        return pool.urlopen(
            request.method or "GET",
            request.path_url,
            request.body,
            request.headers,
            retries=False,
            redirect=False,
            assert_same_host=False,
            preload_content=False,
            timeout=Timeout(self._limits.connect_timeout_s, self._limits.timeout_s),
            chunked=request.body is not None and "Content-Length" not in request.headers,
        )

    def _read(self, request: requests.PreparedRequest, raw: Any) -> requests.Response:
        limit = self._limits.max_answer_bytes
        whole = False
        try:
            body = raw.read(limit + 1, decode_content=True)
            whole = len(body) <= limit
        finally:
            if whole:
                raw.release_conn()
            else:
                raw.close()
        if not whole:
            raise _TooLarge
        response = self.build_response(request, raw)
        response._content = body
        response._content_consumed = True  # type: ignore[attr-defined]
        return response

    def _lost(self, error: Exception, call: CallDeadline) -> str:
        if isinstance(error, _TooLarge):
            return f"its answer is larger than {self._limits.max_answer_bytes // 1024} KiB"
        if time.monotonic() >= call.deadline:
            return f"no whole answer came within {self._limits.timeout_s:g} s"
        inner = error.args[-1] if isinstance(error, ProtocolError) else error
        if isinstance(inner, _NOT_HTTP) and not isinstance(inner, OSError):
            return "what it answered is not HTTP that we can read"
        return "the connection broke before a whole answer was read"


class _TooLarge(ValueError):
    """Answer that exceeds `max_answer_bytes`."""


def _not_sent(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "could not be connected to in time"
    return "the request could not be sent"


def _why(error: requests.RequestException) -> TransportError:
    if isinstance(error.__cause__, TransportError):
        return error.__cause__
    return AnswerLost("the call ended in a way that we do not know")
