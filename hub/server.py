"""Web server of `hub web`: one listening socket, and forks that run uvicorn on it.

This process alone reads `hub.yaml`; the forks inherit what it read. So one that dies while the
file is being edited restarts with the old configuration, and a SIGHUP has no effect while the file
has errors. uvicorn's own `workers` are new interpreters: each would read the file, and take the
memory, by itself.
"""

import asyncio
import gc
import logging
import os
import resource
import socket
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from multiprocessing import get_context
from types import FrameType
from typing import Any

import uvicorn
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from hub.app import create_app
from hub.asgi import HubServer
from hub.bootstrap import keep_configuration, refuse_copy, warn_of_files
from hub.core.errors import ConfigError
from hub.process.supervisor import CONFIGURATION_FAULT, Program, Supervisor
from hub.settings import WEB_THREADS, Settings, load_settings
from hub.web.connections import Connections
from hub.web.http_protocol import GuardedProtocol
from hub.web.intake import Intake

GRACE_S = 25
KEEP_ALIVE_S = 5
BACKLOG = 1024
MOST_CONNECTIONS = 1000
# How long the port may be in use at the start, by a hub that is about to end.
BIND_WITHIN_S = 5
# How long the loop of a process may stand still before it counts as hanging.
HANGS_AFTER_S = 30
TICK_S = 1.0
# Objects made before the collector looks for unreachable cycles. A webhook makes hundreds, none of
# them in a cycle; Python's own 700 cost a tenth of the rate of ingest.
GARBAGE_AFTER = 20_000
# How long the kernel keeps what a peer does not read (`READ_WITHIN_S` is the server's own limit).
UNREAD_MOST_MS = 15_000

log = logging.getLogger(__name__)


def serve(settings: Settings) -> int:
    """Serve the hub until SIGTERM or SIGINT; return the exit code. SIGHUP reads `hub.yaml` again.

    Raises:
        ConfigError: `hub.yaml` has errors, the database is a copy, or the port is taken.
    """
    warn_of_files(settings)
    refuse_copy(settings)
    raise_open_files()
    gc.disable()
    keep_configuration(settings, os.environ)
    gc.enable()
    gc.set_threshold(GARBAGE_AFTER)
    listener = listen(settings)
    processes = [_program(number, listener) for number in range(1, settings.web_concurrency + 1)]
    # While the forks finish what they have, new connections are refused and not left waiting.
    return Supervisor([processes], log.info, reload=_reload, before_stop=listener.close).run()


def listen(settings: Settings) -> socket.socket:
    """Return a socket that listens on the hub's port.

    Raises:
        ConfigError: the port is taken.
    """
    address = (settings.bind_host, settings.port)
    attempts = Retrying(
        retry=retry_if_exception_type(OSError),
        stop=stop_after_delay(BIND_WITHIN_S),
        wait=wait_fixed(0.2),
        reraise=True,
    )
    try:
        listener: socket.socket = attempts(socket.create_server, address, backlog=BACKLOG)
    except OSError as error:
        raise ConfigError([settings.port_fault(error)]) from error
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux; its connections inherit it
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNREAD_MOST_MS)
    return listener


def web_server(
    settings: Settings, environ: Mapping[str, str], *, beat: Callable[[], None]
) -> uvicorn.Server:
    """Return the server of one process; it calls `beat` every second.

    Raises:
        ConfigError: as `create_app`.
    """
    app = create_app(settings, environ)
    intake: Intake = app.extensions["hub_intake"]
    connections = Connections(intake.note_refusal, most=most_connections())
    protocol: Any = partial(GuardedProtocol, connections)
    config = uvicorn.Config(
        HubServer(app, beat),
        http=protocol,
        loop="uvloop",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,  # the public URL is HUB_PUBLIC_URL, whatever a proxy or client says
        server_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=GRACE_S,
    )
    return RestfulServer(config)


class RestfulServer(uvicorn.Server):
    """Server that looks around once a second while nothing happens; uvicorn's does so ten times.

    A stop signal ends the wait. The date of responses is at most a second old, as before.
    """

    _told: asyncio.Event
    _loop: asyncio.AbstractEventLoop | None = None

    async def main_loop(self) -> None:
        """Wait for the end; keep the `Date` of responses."""
        self._told, self._loop = asyncio.Event(), asyncio.get_running_loop()
        while not await self.on_tick(0):
            with suppress(TimeoutError):
                await asyncio.wait_for(self._told.wait(), TICK_S)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Handle a stop signal as uvicorn does, and end the wait."""
        super().handle_exit(sig, frame)
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._told.set)


def raise_open_files() -> None:
    """Let this process, and its forks, open as many files as it may.

    What a machine sets at first is often 1024, for programs that wait for many by `select`.
    """
    files, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):  # not every system lets it be as high as it says
        if files != most:
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def most_connections() -> int:
    """Return the number of connections that a web process keeps open; beyond it some give way.

    A process that accepts more connections than it has file descriptors can open no file, and no
    connection to the database.
    """
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return MOST_CONNECTIONS
    return max(WEB_THREADS + 1, min(MOST_CONNECTIONS, files // 2))


def _program(number: int, listener: socket.socket) -> Program:
    last_beat = get_context("fork").Value("d", 0.0, lock=False)

    def beat() -> None:
        last_beat.value = time.monotonic()

    def run() -> None:
        # It logs a line for each request that is not HTTP, and whoever likes can send those.
        logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
        try:
            server = web_server(load_settings(os.environ), os.environ, beat=beat)
        except ConfigError as error:
            for fault in error.faults:
                log.error("%s", fault)
            sys.exit(CONFIGURATION_FAULT)
        gc.freeze()  # else the first collection under load looks through all that was imported
        server.run([listener])

    return Program(
        f"web {number}",
        run,
        is_alive=lambda started_at: (
            time.monotonic() - max(started_at, last_beat.value) < HANGS_AFTER_S
        ),
    )


def _reload() -> bool:
    try:
        keep_configuration(load_settings(os.environ), os.environ)
    except ConfigError as error:
        for fault in error.faults:
            log.error("not taken over, the hub goes on as before: %s", fault)
        return False
    return True
