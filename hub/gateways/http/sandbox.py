"""Sandbox transport: checks and records a request as if it were sent, but makes no call."""

import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from adapters import Answer
from hub.gateways.http.transport import prepare


@dataclass(frozen=True, slots=True)
class Recorded:
    """Request that was built but not sent, without its headers: they contain credentials."""

    method: str
    url: str
    body: bytes


class RecordingTransport:
    """Transport of the sandbox: checks a request's URL, sends nothing, returns a simulated answer.

    `answer` gets method and URL (`Outbound.sandbox_answer`). `last` is the calling thread's last
    request, or None; each of `secrets` in its URL is replaced with ``***``, and so is the path of
    a secret that is itself a URL (`base_url` may have moved it to another host).
    """

    def __init__(
        self, answer: Callable[[str, str], Answer], *, secrets: Collection[str] = ()
    ) -> None:
        self._answer = answer
        paths = [urlsplit(secret).path for secret in secrets if "://" in secret]
        hidden = [secret for secret in (*secrets, *paths) if secret.strip("/")]
        self._secrets = sorted(hidden, key=len, reverse=True)
        self._thread = threading.local()

    @property
    def last(self) -> Recorded | None:
        recorded: Recorded | None = getattr(self._thread, "last", None)
        return recorded

    def send(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes = b""
    ) -> Answer:
        """Record the request and return the simulated answer.

        Raises:
            NotSent: the request could not have been sent.
        """
        prepare(method, url, headers, body)
        shown = url
        for secret in self._secrets:
            shown = shown.replace(secret, "***")
        self._thread.last = Recorded(method, shown, body)
        return self._answer(method, url)
