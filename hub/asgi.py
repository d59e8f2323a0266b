"""ASGI application in front of Flask: reads whole requests, and takes webhooks in many at a time.

A webhook goes through the receiver in the event loop, and into the database with all others that
wait at that moment. Everything else, and what is out of the ordinary, goes to the Flask
application, in threads that never wait for a client: a thread gets the whole request, and what it
answers is sent by the loop. `wsgi.py` is the same application without this in front.
"""

import asyncio
import re
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple

from flask import Flask
from werkzeug.sansio.utils import host_is_trusted

from adapters import FormInbound, Reply
from hub.core.hub import Hub
from hub.core.inbound.ingest import PreparedRequest
from hub.gateways.database.loop_connection import LoopConnection
from hub.gateways.database.sqlite import close_connections
from hub.settings import WEB_THREADS
from hub.web.batch_writer import BatchWriter, together_on
from hub.web.body_reader import SMALL_BYTES, BodyReader, BodyRefused, Disconnected, Receive
from hub.web.dashboard.credential_check import asks_for_password
from hub.web.errors import error_reply, headers_of, unexpected_error
from hub.web.flask_threads import FlaskThreads, Message, Scope, Send, closing, lingering
from hub.web.intake import Intake
from hub.web.proxy_watch import ProxyWatch
from hub.web.request_head import CONNECTION, Head, read_head
from hub.web.request_reader import build_request

# With the time to tell the client, less than 15 s (`hub.web.http_protocol`).
BODY_TIMEOUT_S = 12
# Time limit for a form with files, as long as more of it comes: 5 MB from a telephone take a while.
FILES_TIMEOUT_S = 60
# Largest body of what is neither a webhook nor a form: a page of the dashboard.
PAGE_MOST_BYTES = 1024 * 1024
# A larger webhook, or one with more commas (a list of so many items takes 40 ms to parse), is
# verified and parsed in a thread.
LOOP_MOST_BYTES = 32 * 1024
LOOP_MOST_COMMAS = 2000

BEAT_EVERY_S = 1

# Without a thread: it is asked for when all of them are busy.
ALIVE = Reply(200, b'{"status":"alive"}\n', "application/json")

_WEBHOOK = re.compile(r"/webhooks/([A-Za-z0-9._~-]+)(?:/([A-Za-z0-9._~-]+))?")
_ADDRESS_OF_SOURCE = re.compile(r"/(?:webhooks|forms)/([^/]*)")


class Limits(NamedTuple):
    """Limits for the body of a request; with `most_bytes` 0 it is not read."""

    most_bytes: int
    within_s: float
    late_status: int = 408


class Webhook(NamedTuple):
    """Source of a webhook, and the secret in its address if there is one."""

    slug: str
    path_secret: str | None


class HubServer:
    """ASGI application of the hub over its Flask application; it calls `beat` every second."""

    def __init__(self, app: Flask, beat: Callable[[], None]) -> None:
        self._beat = beat
        self._hub: Hub = app.extensions["hub"]
        self._intake: Intake = app.extensions["hub_intake"]
        defaults: Iterable[tuple[str, str]] = app.extensions["hub_headers"]
        trusted = app.config["TRUSTED_HOSTS"]
        self._trusts = lru_cache(maxsize=64)(lambda host: host_is_trusted(host, trusted))
        self._fields_of = lru_cache(maxsize=64)(lambda reply: _fields_of(reply, defaults))
        self._proxies: ProxyWatch = app.extensions["hub_proxy_watch"]
        self._bodies = BodyReader()
        self._connection = self._open_connection(app.extensions["hub_settings"].database_url)
        together = None if self._connection is None else together_on(self._connection)
        self._writer = BatchWriter(self._intake.store, together)
        self._threads = ThreadPoolExecutor(WEB_THREADS, thread_name_prefix="webhook")
        self._flask = FlaskThreads(app, WEB_THREADS, asks_for_password)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        head = read_head(scope)
        self._proxies.see(head.path, (scope.get("client") or ("",))[0], head.headers)
        is_started = False

        async def deliver(message: Message) -> None:
            nonlocal is_started
            if not is_started and message["status"] >= 400 and head.is_chunked:
                # A proxy in front may see another end of such a body.
                message = {**message, "headers": closing(message["headers"])}
            is_started = True
            try:
                await send(message)
            except RuntimeError as error:
                if scope["extensions"][CONNECTION]["is_closing"]():
                    raise Disconnected from error
                raise

        try:
            reply = await self._answer(scope, head, receive, deliver)
            if reply is not None:
                await self._send(reply, deliver)
        except Disconnected:
            return
        except Exception as error:  # noqa: BLE001 - as Flask does with what a view raises
            reply = unexpected_error(error)
            if not is_started:
                await self._send(reply, deliver)

    async def _send(self, reply: Reply, send: Send) -> None:
        start = {"type": "http.response.start", "status": reply.status}
        await send(start | {"headers": self._fields_of(reply)})
        await send({"type": "http.response.body", "body": reply.body})

    async def _answer(self, scope: Scope, head: Head, receive: Receive, send: Send) -> Reply | None:
        """Return a response, or None after Flask has sent another one."""
        webhook = self._webhook(head)
        try:
            body = await self._read_body(head, receive)
            if len(body) <= SMALL_BYTES:
                return await self._handle(scope, head, webhook, body, send)
            with self._bodies.kept(body):
                return await self._handle(scope, head, webhook, body, send)
        except BodyRefused as refusal:
            if refusal.status is None or head.path.startswith("/forms/"):
                await self._flask.refuse(scope, head, refusal.status, receive, send)
            else:  # a crowd that is refused at one moment takes nobody's thread
                self._intake.note_refusal(head.path, refusal.status)
                await self._send(error_reply(refusal.status), lingering(receive, send))
            return None

    async def _handle(
        self, scope: Scope, head: Head, webhook: Webhook | None, body: bytes, send: Send
    ) -> Reply | None:
        if webhook is not None:
            return await self._receive(head, webhook, body)
        if head.path == "/healthz" and head.method == "GET" and self._trusts(head.headers["host"]):
            return ALIVE
        await self._flask.answer(scope, head, body, send)
        return None

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        beating = asyncio.ensure_future(self._beat_on())
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self._writer.close()
        self._threads.shutdown()
        if self._connection is not None:
            await self._connection.close()
        self._intake.counters.flush()
        close_connections()  # a fork runs nothing at its exit
        beating.cancel()
        await send({"type": "lifespan.shutdown.complete"})

    async def _beat_on(self) -> None:
        while True:
            self._beat()
            await asyncio.sleep(BEAT_EVERY_S)

    def _open_connection(self, url: str) -> LoopConnection | None:
        return LoopConnection(url) if self._hub.store.dialect == "postgresql" else None

    def _webhook(self, head: Head) -> Webhook | None:
        """Return an ordinary webhook's source; None if Flask is to see the request."""
        if head.method != "POST" or head.refused or "content-encoding" in head.headers:
            return None
        found = _WEBHOOK.fullmatch(head.path)
        if found is None or not self._trusts(head.headers["host"]):
            return None
        source = self._hub.receiver.source(found[1], found[2])
        return None if source is None else Webhook(source.slug, found[2])

    async def _read_body(self, head: Head, receive: Receive) -> bytes:
        """Return the whole body of a request.

        Raises:
            BodyRefused: it is too large or too late, or the head was refused.
            Disconnected
        """
        if head.refused:
            raise BodyRefused(head.refused)
        if not head.has_body:
            return b""
        limits = self._limits(head)
        if not limits.most_bytes:
            raise BodyRefused(None)
        if head.length > limits.most_bytes:
            raise BodyRefused(413)
        try:
            return await self._bodies.read(
                receive,
                most_bytes=limits.most_bytes,
                within_s=limits.within_s,
                silent_s=BODY_TIMEOUT_S,
                begun_s=head.begun_s,
                has_arrived=head.has_arrived,
            )
        except BodyRefused as refusal:
            if refusal.status != 408 or limits.late_status == 408:
                raise
            self._intake.note_refusal(head.path, 408)
            raise BodyRefused(limits.late_status) from refusal

    def _limits(self, head: Head) -> Limits:
        found = _ADDRESS_OF_SOURCE.match(head.path)
        if found is None:
            return Limits(PAGE_MOST_BYTES, BODY_TIMEOUT_S)
        source = self._hub.configuration.sources.get(found[1])
        if source is None or not source.enabled:
            return Limits(0, BODY_TIMEOUT_S)
        adapter = self._hub.inbound(source.slug)
        if isinstance(adapter, FormInbound) and adapter.takes_files:
            return Limits(source.max_bytes, FILES_TIMEOUT_S)
        # A sender that cannot sign, and has a secret in its address, delivers e-mail: it drops a
        # message for good on a 4xx.
        late_status = 503 if adapter.takes_path_secret else 408
        return Limits(source.max_bytes, BODY_TIMEOUT_S, late_status)

    async def _receive(self, head: Head, webhook: Webhook, body: bytes) -> Reply:
        """Take in a webhook; return its response once it is stored."""
        slug, path_secret = webhook
        request = build_request(
            head.method,
            self._hub.public_url or f"http://{head.headers['host']}",
            head.target,
            head.headers,
            body,
            received_at=datetime.now(UTC),
            path_secret=path_secret,
        )
        receiver = self._hub.receiver
        if len(body) > LOOP_MOST_BYTES or body.count(b",") > LOOP_MOST_COMMAS:
            outcome = await self._in_thread(receiver.prepare, request, slug)
        else:
            outcome = receiver.prepare(request, slug)
        if not isinstance(outcome, PreparedRequest):
            declined: Reply = await self._in_thread(self._intake.decline, request, slug, outcome)
            return declined
        if self._intake.is_full:
            return error_reply(503)
        ingested = await self._writer.store(outcome)
        self._intake.after_stored(outcome, ingested)
        return receiver.reply(slug, ingested)

    async def _in_thread(self, work: Callable[..., Any], *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)


def _fields_of(reply: Reply, defaults: Iterable[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    """Return the header fields of a response, as ASGI takes them."""
    fields = [*headers_of(reply), *defaults]
    return [(name.lower().encode(), value.encode("latin-1")) for name, value in fields]
