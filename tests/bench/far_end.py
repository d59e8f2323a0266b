"""Destination for benchmarks: a cheap process that answers after a delay and records the calls.

`python -m tests.bench.far_end PORT DELAY_S LOOP`, with `asyncio` or `uvloop` as the loop. A GET
returns `[[time, body], ...]` as JSON, with times of the machine's monotonic clock; with `?count` it
returns only the number of calls.
"""

import asyncio
import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
import uvloop

from tests.bench.stage import program
from tests.running import until
from tests.stores import free_port

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


@dataclass(frozen=True)
class FarEnd:
    """Client of the running far end, a process with this id, used by the measurement."""

    url: str
    pid: int

    def count(self) -> int:
        """Return the number of calls received."""
        return int(requests.get(f"{self.url}/?count", timeout=10).json())

    def calls(self) -> list[tuple[float, Any]]:
        """Return the calls in order: the time of each and its JSON body."""
        found = requests.get(f"{self.url}/", timeout=30).json()
        return [(at_s, json.loads(body)) for at_s, body in found]

    def rate(self, *, seconds: float, at_most: int, within_s: float = 30) -> float:
        """Return calls per second from the first call on, over so many seconds or calls."""
        until(self.count, within_s, "the first call")
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self.count() < at_most:
            time.sleep(0.1)
        times = [at_s for at_s, _ in self.calls()]
        times = [at_s for at_s in times if at_s <= times[0] + seconds]
        return (len(times) - 1) / (times[-1] - times[0])


@contextmanager
def far_end(folder: Path, *, delay_s: float = 0.0, loop: str = "asyncio") -> Iterator[FarEnd]:
    """Start a far end, and stop it at the end. `loop`: `uvloop` takes a quarter less CPU."""
    port = free_port()
    arguments = ["tests.bench.far_end", str(port), str(delay_s), loop]
    with program(arguments, {}, folder / "far_end.log") as pid:
        running = FarEnd(f"http://127.0.0.1:{port}", pid)
        until(lambda: _answers(running), 30, "the far end to answer")
        yield running


def _answers(running: FarEnd) -> bool:
    try:
        return running.count() == 0
    except requests.RequestException:
        return False


class _Protocol(asyncio.Protocol):
    delay_s: float
    calls: list[tuple[float, str]]

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._buffer = b""

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, ended, rest = self._buffer.partition(b"\r\n\r\n")
        if not ended:
            return
        _, found, length = head.lower().partition(b"\r\ncontent-length:")
        wanted = int(length.partition(b"\r\n")[0]) if found else 0
        if len(rest) < wanted:
            return
        self._buffer = rest[wanted:]
        if head.startswith(b"GET"):
            self._tell(count_only=head.startswith(b"GET /?count"))
            return
        self.calls.append((time.monotonic(), rest[:wanted].decode()))
        if self.delay_s:
            asyncio.get_running_loop().call_later(self.delay_s, self._transport.write, _ANSWER)
        else:
            self._transport.write(_ANSWER)

    def _tell(self, *, count_only: bool) -> None:
        body = json.dumps(len(self.calls) if count_only else self.calls).encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n"
        self._transport.write(head.encode() + body)


async def _serve(port: int, delay_s: float) -> None:
    _Protocol.delay_s, _Protocol.calls = delay_s, []
    server = await asyncio.get_running_loop().create_server(
        _Protocol, "127.0.0.1", port, backlog=1024
    )
    await server.serve_forever()


if __name__ == "__main__":
    run = uvloop.run if sys.argv[3] == "uvloop" else asyncio.run
    run(_serve(int(sys.argv[1]), float(sys.argv[2])))
