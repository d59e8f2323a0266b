"""Webhook sender with little overhead: one thread, raw sockets, requests signed beforehand."""

import hashlib
import hmac
import select
import socket
import statistics
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from tests.running import ROOT, STRIPE_SECRET

FIXTURE = ROOT / "tests/fixtures/stripe/payment_intent.succeeded.2020-08-27.json"
# More than any subject has threads, so that none waits for the sender.
CONNECTIONS = 64
# A connection is then renewed, so that a server's processes get an even share.
REQUESTS_PER_CONNECTION = 100


@dataclass
class Pressed:
    """Result of a load run: counts of 2xx and other answers, and the time each 2xx took."""

    accepted: int = 0
    refused: int = 0
    seconds: float = 0.0
    took_s: list[float] = field(default_factory=list)

    @property
    def per_s(self) -> float:
        return self.accepted / self.seconds

    def quantile_ms(self, part: int) -> float:
        """Return a percentile of the answer times, in milliseconds."""
        return statistics.quantiles(self.took_s, n=100)[part - 1] * 1000


class Webhooks:
    """Generator of 6 kB Stripe payments with unique event and object ids, signed when taken."""

    def __init__(self, name: str) -> None:
        template = FIXTURE.read_text()
        template = template.replace('"receipt_email": null', '"receipt_email": "buyer@example.com"')
        self._template = template.replace("pi_" + "0" * 24, "pi_NUMBER")
        self._name = name
        self._count = 0

    def body(self) -> tuple[str, bytes]:
        """Return the next event's id and body."""
        self._count += 1
        number = f"{self._name}{self._count:08d}"
        text = self._template.replace("pi_NUMBER", f"pi_{number}")
        event_id = f"evt_{number}"
        return event_id, text.replace("evt_1SRMfixture0000000000001", event_id).encode()

    def request(self) -> bytes:
        """Return the next event as the bytes of a complete HTTP request."""
        return as_request(self.body()[1])

    def requests(self, count: int) -> list[bytes]:
        return [self.request() for _ in range(count)]


def as_request(body: bytes) -> bytes:
    """Return a signed POST of a body, as bytes."""
    now_s = int(time.time())
    digest = hmac.digest(STRIPE_SECRET.encode(), b"%d.%b" % (now_s, body), hashlib.sha256)
    head = (
        "POST /webhooks/stripe HTTP/1.1\r\n"
        "Host: 127.0.0.1\r\n"
        "User-Agent: Stripe/1.0 (+https://stripe.com/docs/webhooks)\r\n"
        "Accept: */*; q=0.5, application/xml\r\n"
        "Content-Type: application/json; charset=utf-8\r\n"
        f"Content-Length: {len(body)}\r\n"
        f"Stripe-Signature: t={now_s},v1={digest.hex()}\r\n\r\n"
    )
    return head.encode() + body


class Line:
    """HTTP connection that sends one request at a time and reads its answer."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.sent_at = 0.0
        self._connect()

    def _connect(self) -> None:
        self.socket = socket.create_connection(("127.0.0.1", self._port), timeout=30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._left = REQUESTS_PER_CONNECTION

    def send(self, request: bytes) -> bool:
        """Send a request; return whether a new socket was opened for it."""
        renewed = self._left == 0
        if renewed:
            self.socket.close()
            self._connect()
        self._left -= 1
        self.sent_at = time.perf_counter()
        self.socket.sendall(request)
        return renewed

    def status(self) -> int:
        """Return the status of an answer that has begun to arrive; 0 for a broken connection."""
        answer = b""
        while b"\r\n\r\n" not in answer:
            piece = self.socket.recv(65536)
            if not piece:
                self._left = 0
                return 0
            answer += piece
        head, _, body = answer.partition(b"\r\n\r\n")
        missing = _content_length(head) - len(body)
        while missing > 0 and (piece := self.socket.recv(missing)):
            missing -= len(piece)
        if b"onnection: close" in head:
            self._left = 0
        return int(head[9:12])


def _content_length(head: bytes) -> int:
    _, found, rest = head.lower().partition(b"\r\ncontent-length:")
    return int(rest.partition(b"\r\n")[0]) if found else 0


def press(
    port: int,
    requests: Iterable[bytes],
    *,
    seconds: float,
    connections: int = CONNECTIONS,
) -> Pressed:
    """Send over so many connections at once until the time is up or the requests run out.

    Requests in flight at that moment are awaited, and their time counts.
    """
    pressed = Pressed()
    coming = iter(requests)
    poll = select.epoll()
    lines: dict[int, Line] = {}
    start = time.perf_counter()
    for _ in range(connections):
        _next(Line(port), coming, poll, lines, known=False)
    while lines:
        for number, _ in poll.poll():
            line = lines.pop(number)
            status = line.status()
            now = time.perf_counter()
            if 200 <= status < 300:
                pressed.accepted += 1
                pressed.took_s.append(now - line.sent_at)
            else:
                pressed.refused += 1
            if now - start < seconds:
                _next(line, coming, poll, lines, known=True)
            else:
                poll.unregister(number)
                line.socket.close()
    pressed.seconds = time.perf_counter() - start
    poll.close()
    return pressed


def _next(
    line: Line,
    coming: Iterator[bytes],
    poll: select.epoll,
    lines: dict[int, Line],
    *,
    known: bool,
) -> None:
    request = next(coming, None)
    if request is None:
        line.socket.close()
        return
    if line.send(request) or not known:
        poll.register(line.socket, select.EPOLLIN)
    lines[line.socket.fileno()] = line
