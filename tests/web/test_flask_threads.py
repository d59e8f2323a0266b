"""Threads of Flask behind an ASGI server: whole requests in, whole responses out."""

import asyncio
import errno
import threading
from collections.abc import Callable, MutableMapping
from tempfile import SpooledTemporaryFile
from typing import Any

import pytest
from flask import Flask, Response, request

from hub.web import flask_threads as module
from hub.web.flask_threads import FlaskThreads
from hub.web.request_head import read_head
from hub.web.request_reader import REFUSED

LARGE = bytes(range(256)) * 16 * 1024  # 4 MiB


@pytest.fixture
def app() -> Flask:
    app = Flask("test")

    @app.post("/echo")
    def echo() -> Response:
        return Response(request.get_data(), headers={"X-Raw": request.environ["RAW_URI"]})

    @app.get("/large")
    def large() -> Response:
        return Response(LARGE[at : at + 1000] for at in range(0, len(LARGE), 1000))

    @app.post("/refused")
    def refused() -> Response:
        status = request.environ[REFUSED]
        return Response(f"refused with {status}", status or 404)

    return app


def scope(method: str, path: str, **headers: str) -> MutableMapping[str, Any]:
    fields = {"host": "hub", **headers}
    return {
        "type": "http",
        "method": method,
        "path": path.partition("?")[0],
        "raw_path": path.partition("?")[0].encode(),
        "query_string": path.partition("?")[2].encode(),
        "headers": [(name.replace("_", "-").encode(), value.encode())
                    for name, value in fields.items()],
        "http_version": "1.1",
        "scheme": "http",
    }  # fmt: skip


class Client:
    """Client's side of one exchange: what it was sent, and what more it has to say."""

    def __init__(self, *pieces: bytes, reads: Callable[[], Any] = lambda: None) -> None:
        self.pieces = list(pieces)
        self.messages: list[MutableMapping[str, Any]] = []
        self._reads = reads

    async def receive(self) -> MutableMapping[str, Any]:
        if not self.pieces:
            await asyncio.Event().wait()
        return {"type": "http.request", "body": self.pieces.pop(0), "more_body": True}

    async def send(self, message: MutableMapping[str, Any]) -> None:
        if (wait := self._reads()) is not None:
            await wait
        self.messages.append(message)

    @property
    def status(self) -> int:
        return int(self.messages[0]["status"])

    @property
    def headers(self) -> dict[bytes, bytes]:
        return dict(self.messages[0]["headers"])

    @property
    def body(self) -> bytes:
        return b"".join(message["body"] for message in self.messages[1:])


def test_a_request_arrives_whole_and_its_address_as_it_was(app: Flask) -> None:
    client, asked = Client(), scope("POST", "/echo?a=%2F&b", content_length="5")
    threads = FlaskThreads(app, 1)
    asyncio.run(threads.answer(asked, read_head(asked), b"hello", client.send))
    assert (client.status, client.body) == (200, b"hello")
    assert client.headers[b"x-raw"] == b"/echo?a=%2F&b"
    assert [message.get("more_body", False) for message in client.messages] == [False, False]


def test_a_large_response_goes_out_in_pieces(app: Flask) -> None:
    client, asked = Client(), scope("GET", "/large")
    asyncio.run(FlaskThreads(app, 1).answer(asked, read_head(asked), b"", client.send))
    assert client.body == LARGE
    assert max(len(message["body"]) for message in client.messages[1:]) <= module.PIECE_BYTES
    assert [one.get("more_body", False) for one in client.messages[1:]][-2:] == [True, False]


def test_a_client_that_reads_nothing_holds_no_thread(app: Flask) -> None:
    async def check() -> None:
        reads = asyncio.Event()
        threads = FlaskThreads(app, 1)
        slow = [Client(reads=reads.wait) for _ in range(3)]
        asked = scope("GET", "/large")
        waiting = [
            asyncio.ensure_future(threads.answer(asked, read_head(asked), b"", one.send))
            for one in slow
        ]
        quick, asked = Client(), scope("POST", "/echo", content_length="2")
        async with asyncio.timeout(20):
            await threads.answer(asked, read_head(asked), b"hi", quick.send)
        assert quick.body == b"hi"
        assert not any(one.done() for one in waiting)
        reads.set()
        await asyncio.gather(*waiting)
        assert [one.body == LARGE for one in slow] == [True] * 3

    asyncio.run(check())


@pytest.mark.parametrize("status", [408, 413, None])
def test_a_refused_request_is_answered_before_its_rest_is_dropped(
    app: Flask, status: int | None, monkeypatch
) -> None:
    monkeypatch.setattr(module, "LINGER_S", 0.05)
    client, asked = Client(b"x", b"y"), scope("POST", "/refused", content_length="1000")
    threads = FlaskThreads(app, 1)
    asyncio.run(threads.refuse(asked, read_head(asked), status, client.receive, client.send))
    assert client.status == (status or 404)
    assert client.headers[b"connection"] == b"close"
    assert client.body == f"refused with {status}".encode()
    assert client.pieces == []
    assert client.messages[-1] == {"type": "http.response.body", "body": b""}


def test_as_many_requests_are_answered_at_once_as_there_are_threads(app: Flask) -> None:
    together = threading.Barrier(3, timeout=20)

    @app.get("/together")
    def wait() -> str:
        together.wait()
        return "all"

    async def check() -> None:
        threads, asked = FlaskThreads(app, 3), scope("GET", "/together")
        clients = [Client() for _ in range(3)]
        await asyncio.gather(
            *(threads.answer(asked, read_head(asked), b"", one.send) for one in clients)
        )
        assert [one.body for one in clients] == [b"all"] * 3

    asyncio.run(check())


def test_a_full_disk_fails_the_response_and_takes_no_thread(app: Flask, monkeypatch) -> None:
    class Full(SpooledTemporaryFile):
        def write(self, data: bytes) -> int:
            raise OSError(errno.ENOSPC, "no space")

    async def check() -> None:
        threads = FlaskThreads(app, 1)
        monkeypatch.setattr(module, "SpooledTemporaryFile", Full)
        asked = scope("GET", "/large")
        async with asyncio.timeout(20):
            with pytest.raises(OSError, match="no space"):
                await threads.answer(asked, read_head(asked), b"", Client().send)
            monkeypatch.undo()
            quick, asked = Client(), scope("POST", "/echo", content_length="2")
            await threads.answer(asked, read_head(asked), b"hi", quick.send)
        assert quick.body == b"hi"

    asyncio.run(check())
