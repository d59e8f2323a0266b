"""Attackers of a hub: `python -m tests.faults.attackers KIND PORT` goes on until it is ended.

At SIGTERM it prints, as JSON, how many answers of each status it got; 0 is a broken connection.
"""

import http.client
import json
import secrets
import signal
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from types import FrameType
from urllib.parse import urlencode

import click

VICTIM = "victim@elsewhere.example"
HALF_BODIES = 150
SILENT = 16
AT_ONCE = 4
TIMEOUT_S = 20
# What the proxy in front of the hub would say of whoever floods it.
_FROM = {"X-Forwarded-For": "203.0.113.7"}
_WEBHOOK = "POST /webhooks/stripe HTTP/1.1\r\nHost: localhost\r\n"
_MULTIPART = "Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 8000\r\n"


class Attacker:
    """Attacker of the hub at a port of this machine; `answers` counts the statuses."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.answers: Counter[int] = Counter()

    def half_bodies(self) -> None:
        """Keep 150 webhooks waiting for the last 48 kB of a body of 1 MiB."""
        head = (
            "POST /webhooks/stripe HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1048576\r\n\r\n"
        )
        self._hold(HALF_BODIES, head.encode() + b"x" * 1_000_000)

    def silent_sign_ins(self) -> None:
        """Keep sixteen forms of the sign-in waiting after their first line."""
        head = f"POST /sign-in HTTP/1.1\r\nHost: localhost\r\n{_MULTIPART}\r\n--x\r\n"
        self._hold(SILENT, head.encode())

    def one_victim(self) -> None:
        """Send leads that all name one address, each with another text."""
        self._flood("/forms/contact", lambda n: _lead(email=VICTIM, message=f"Hello {n}"))

    def undeclared_fields(self) -> None:
        """Send leads with 60 kB or half a megabyte in fields that the form does not have."""

        def body(n: int) -> str:
            more = {f"field{i}": secrets.token_hex(3_000 + n % 2 * 22_000) for i in range(10)}
            return _lead(email=f"a{n}@elsewhere.example", **more)

        self._flood("/forms/contact", body)

    def unsigned(self) -> None:
        """Send webhooks of 60 kB that nobody signed, with 12 kB of headers."""
        headers = {f"X-Filler-{n}": "x" * 3_000 for n in range(4)}
        signature = {"Stripe-Signature": f"t={int(time.time())},v1={'0' * 64}"}
        body = lambda n: json.dumps({"id": f"evt_{n}", "x": secrets.token_hex(30_000)})  # noqa: E731
        self._flood("/webhooks/stripe", body, headers | signature)

    def _hold(self, size: int, sent: bytes) -> None:
        held: list[socket.socket] = []
        while True:
            try:
                sock = socket.create_connection(("127.0.0.1", self.port), timeout=TIMEOUT_S)
                held.append(sock)
                sock.sendall(sent)
            except OSError:
                self.answers[0] += 1
            while len(held) >= size:
                held = [one for one in held if self._waits(one)]
                time.sleep(0.05)

    def _waits(self, sock: socket.socket) -> bool:
        """Return whether a connection still waits; count the answer of one that does not."""
        sock.settimeout(0)
        try:
            answer = sock.recv(65536)
        except BlockingIOError:
            return True
        except OSError:
            answer = b""
        sock.close()
        self.answers[int(answer[9:12]) if answer.startswith(b"HTTP/1.1 ") else 0] += 1
        return False

    def _flood(
        self, path: str, body: Callable[[int], str], headers: dict[str, str] | None = None
    ) -> None:
        numbers = iter(range(sys.maxsize))
        arguments = (path, body, headers or {}, numbers)
        threads = [
            threading.Thread(target=self._post, args=arguments, daemon=True) for _ in range(AT_ONCE)
        ]
        for one in threads:
            one.start()
        for one in threads:
            one.join()

    def _post(
        self, path: str, body: Callable[[int], str], headers: dict[str, str], numbers: Iterator[int]
    ) -> None:
        kind = "application/json" if path.startswith("/webhooks") else _FORM
        for n in numbers:
            line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT_S)
            try:
                line.request("POST", path, body(n), {"Content-Type": kind, **_FROM, **headers})
                self.answers[line.getresponse().status] += 1
            except (OSError, http.client.HTTPException):
                self.answers[0] += 1
            finally:
                line.close()


_FORM = "application/x-www-form-urlencoded"
KINDS = ("half_bodies", "silent_sign_ins", "one_victim", "undeclared_fields", "unsigned")


def _lead(**fields: str) -> str:
    return urlencode({"name": "Somebody", **fields})


def main(kind: str, port: int) -> None:
    attacker = Attacker(port)

    def end(_number: int, _frame: FrameType | None) -> None:
        click.echo(json.dumps(attacker.answers))
        sys.exit()

    signal.signal(signal.SIGTERM, end)
    getattr(attacker, kind)()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
