"""TCP proxy whose connections can go dead: from one moment on it carries nothing."""

import selectors
import socket
import threading
from contextlib import suppress


class Proxy:
    """TCP proxy between a port of 127.0.0.1 and another; a context manager.

    `go_dead` keeps every connection open, accepts data and passes nothing on: as a firewall that
    lost its state, or a pooler that hangs. New connections are accepted and just as dead.
    """

    def __init__(self, port: int) -> None:
        self._target = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port: int = self._listener.getsockname()[1]
        self._lines: list[socket.socket] = []
        self._alive = threading.Event()
        self._alive.set()
        self._closed = False

    def __enter__(self) -> "Proxy":
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed = True
        self._alive.set()
        self._listener.close()
        self._drop_all()

    def go_dead(self) -> None:
        self._alive.clear()

    def revive(self) -> None:
        """Drop the dead connections, as their ends would have by then, and carry new ones."""
        self._drop_all()
        self._alive.set()

    def _drop_all(self) -> None:
        lines, self._lines = self._lines, []
        for line in lines:
            with suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while not self._closed:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            self._lines.append(near)
            threading.Thread(target=self._carry, args=(near,), daemon=True).start()

    def _carry(self, near: socket.socket) -> None:
        self._alive.wait()
        # Not `select`, which takes no descriptor beyond 1023.
        with (
            near,
            suppress(OSError),
            socket.create_connection(self._target) as far,
            selectors.DefaultSelector() as readable,
        ):
            self._lines.append(far)
            readable.register(near, selectors.EVENT_READ, far)
            readable.register(far, selectors.EVENT_READ, near)
            while True:
                for key, _ in readable.select():
                    data = key.fileobj.recv(65536)  # type: ignore[union-attr]
                    self._alive.wait()
                    if not data:
                        return
                    key.data.sendall(data)
