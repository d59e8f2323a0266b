"""Connections of the web server: how many there may be, and how long a request's head may take.

With more connections than there may be, the one whose client has been silent for longest is closed.
"""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hub.web.http_protocol import GuardedProtocol

# With the time to tell the client, less than 15 s.
HEAD_TIMEOUT_S = 12
SWEEP_EVERY_S = 0.5

NoteRefusal = Callable[[str, int], None]


class Connections:
    """Connections of one event loop: about `most`, and a deadline for each head that is awaited.

    Beyond `most` each new one closes another, as long as there is one whose client is to act.

    `note_refusal` gets the path and the status of what is not HTTP.
    """

    def __init__(self, note_refusal: NoteRefusal, *, most: int) -> None:
        self.note_refusal = note_refusal
        self._most = most
        # In the order in which their clients last sent something.
        self._open: dict[GuardedProtocol, None] = {}
        self._deadlines: dict[GuardedProtocol, float] = {}  # in their order
        self._is_sweeping = False

    def add(self, protocol: "GuardedProtocol") -> None:
        """Add a new connection; close another one if there are too many, or else this one."""
        self.await_head(protocol)
        self._open[protocol] = None
        if len(self._open) > self._most:
            silent = next((one for one in self._open if one.keeps_waiting), protocol)
            self._open.pop(silent)
            silent.give_way()

    def heard(self, protocol: "GuardedProtocol") -> None:
        """Note that a client has sent something."""
        self._open.pop(protocol, None)
        self._open[protocol] = None

    def await_head(self, protocol: "GuardedProtocol") -> None:
        """Start the deadline for a connection's next head, unless it has one, or is refused."""
        if protocol in self._deadlines or protocol.is_refused:
            return
        self._deadlines[protocol] = protocol.loop.time() + HEAD_TIMEOUT_S
        if not self._is_sweeping:
            self._is_sweeping = True
            protocol.loop.call_later(SWEEP_EVERY_S, self._sweep, protocol.loop)

    def has_head(self, protocol: "GuardedProtocol") -> None:
        """Drop the deadline of a connection: its head has arrived, or is refused."""
        self._deadlines.pop(protocol, None)

    def remove(self, protocol: "GuardedProtocol") -> None:
        """Forget a connection that is closed."""
        self._deadlines.pop(protocol, None)
        self._open.pop(protocol, None)

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        now_s = loop.time()
        self._is_sweeping = bool(self._deadlines)
        if self._is_sweeping:
            loop.call_later(SWEEP_EVERY_S, self._sweep, loop)
        for protocol, deadline_s in list(self._deadlines.items()):
            if deadline_s > now_s:
                break
            del self._deadlines[protocol]
            protocol.refuse(408)
