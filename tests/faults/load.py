"""Load generator like Stripe: signed events at a steady rate, some twice, retried on failure.

Its promises are the 2xx answers: `acknowledged` has every event that got one.
"""

import heapq
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType

import requests

from tests.running import RunningHub, stripe_event, stripe_signature, until

TIMEOUT_S = 20
AGAIN_AFTER_S = 0.5
AT_ONCE = 32


@dataclass(frozen=True)
class Answer:
    """Try of one event; `status` 0 for a broken connection or none."""

    event_id: str
    status: int
    retry_after: str | None
    sent_at_s: float
    took_s: float


class Sender:
    """Sends events on request, one try each, and keeps every answer."""

    def __init__(self, hub: RunningHub) -> None:
        self.hub = hub
        self.answers: list[Answer] = []
        self._bodies: dict[str, bytes] = {}

    def send(self, event_id: str) -> int:
        """Post an event once; the same bytes whenever it is sent again."""
        body = self._bodies.setdefault(event_id, stripe_event(event_id))
        headers = {"Stripe-Signature": stripe_signature(body), "Content-Type": "application/json"}
        sent_at_s = time.monotonic()
        try:
            answer = requests.post(
                f"{self.hub.address}/webhooks/stripe",
                data=body,
                headers=headers,
                timeout=TIMEOUT_S,
            )
            status, retry_after = answer.status_code, answer.headers.get("Retry-After")
        except requests.RequestException:
            status, retry_after = 0, None
        took_s = time.monotonic() - sent_at_s
        self.answers.append(Answer(event_id, status, retry_after, sent_at_s, took_s))
        return status

    def acknowledged(self) -> Counter[str]:
        """Return the number of 2xx answers of each event."""
        return Counter(one.event_id for one in list(self.answers) if 200 <= one.status < 300)

    def sent(self) -> set[str]:
        return set(self._bodies)

    def statuses(self) -> Counter[int]:
        return Counter(one.status for one in list(self.answers))

    def since(self, at_s: float) -> list[Answer]:
        """Return the answers to requests sent from then on."""
        return [one for one in list(self.answers) if one.sent_at_s >= at_s]


def p99_s(answers: list[Answer]) -> float:
    """Return the 99th percentile of the answer times, in seconds."""
    times = sorted(one.took_s for one in answers)
    return times[min(len(times) - 1, int(len(times) * 0.99))]


class Load(Sender):
    """Background sender of `rate` new events a second, every tenth of them twice at once."""

    def __init__(self, hub: RunningHub, *, rate: float = 20, name: str = "evt") -> None:
        super().__init__(hub)
        self._pause_s = 1 / rate
        self._name = name
        self._again: list[tuple[float, str]] = []
        self._lock = threading.Lock()
        self._enough = threading.Event()
        self._over = threading.Event()
        self._pool = ThreadPoolExecutor(AT_ONCE)
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Load":
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._enough.set()
        self._over.set()
        self._thread.join()
        self._pool.shutdown(cancel_futures=True)

    def finish(self, within_s: float = 60) -> None:
        """Stop sending new events, and wait until every event sent is acknowledged."""
        self._enough.set()
        until(
            lambda: self.sent() <= set(self.acknowledged()),
            within_s,
            "every event to be acknowledged in the end",
        )
        self._over.set()
        self._thread.join()
        self._pool.shutdown()

    def run_for(self, seconds: float) -> None:
        """Keep sending for so many seconds."""
        self._over.wait(seconds)

    def _run(self) -> None:
        n = 0
        while not self._over.wait(self._pause_s):
            if not self._enough.is_set() and self._pool._work_queue.qsize() < 2 * AT_ONCE:
                n += 1
                for _ in range(2 if n % 10 == 0 else 1):
                    self._pool.submit(self._send, f"{self._name}_{n}")
            with self._lock:
                while self._again and self._again[0][0] <= time.monotonic():
                    self._pool.submit(self._send, heapq.heappop(self._again)[1])

    def _send(self, event_id: str) -> None:
        if not 200 <= self.send(event_id) < 300:
            with self._lock:
                heapq.heappush(self._again, (time.monotonic() + AGAIN_AFTER_S, event_id))
