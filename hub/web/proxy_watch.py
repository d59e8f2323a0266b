"""Watch for a proxy that `HUB_PROXY_HOPS` does not count: requests have its header.

From a peer nearby (of this machine, or of a private network) one such request is evidence: what
comes from there has no address of its own, and shares a limit in any case. From the internet
anybody can write the header, into many requests too: there it is evidence only while several
windows in a row look as behind a proxy. The alert says how to find out the truth.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from sqlalchemy.exc import SQLAlchemyError

from hub.core.client_addresses import network_block, parse_address
from hub.core.monitoring import proxies
from hub.core.ports import Store
from hub.web.visitors import FORWARDING, is_peer_nearby

# A window ends after so long, and so many requests; evidence takes so many of them in a row.
WINDOW_S, LEAST_REQUESTS = 300.0, 20
WINDOWS = 3
# Networks that the requests of all windows in a row come from.
MOST_PEERS = 8
# Clients with a public address that they must name in each window.
LEAST_CLIENTS = 3
# Addresses that are asked from beside the hub, and say nothing of its visitors.
BESIDE = frozenset({"/healthz", "/readyz", "/metrics"})
WRITTEN_EVERY_S = 60.0

log = logging.getLogger(__name__)


class _Window:
    """Window: counts of requests, their peers, and the public clients that the header names."""

    def __init__(self, at_s: float) -> None:
        self.from_s = at_s
        self.requests = self.forwarded = 0
        self.peers: set[str] = set()
        self.clients: set[str] = set()

    def add(self, peer: str, said: str | None) -> None:
        """Count a request, with what its header says."""
        self.requests += 1
        if said is None:
            return
        self.forwarded += 1
        if len(self.peers) <= MOST_PEERS:
            self.peers.add(_network_of(peer))
        if len(self.clients) < LEAST_CLIENTS:
            client = said.rpartition(",")[2].rpartition("for=")[2].strip(' "')
            if not is_peer_nearby(client):
                self.clients.add(client)

    def is_over(self, at_s: float) -> bool:
        """Return whether the window has ended."""
        return self.requests >= LEAST_REQUESTS and at_s - self.from_s >= WINDOW_S

    def looks_proxied(self) -> bool:
        """Return whether all its requests have the header, and name several clients.

        A stranger can send as many with it as they like, but keeps no other from coming without.
        """
        return self.requests == self.forwarded and len(self.clients) >= LEAST_CLIENTS


class ProxyWatch:
    """Watch of one process for a proxy that `HUB_PROXY_HOPS` does not count.

    A thread writes the evidence to the database, once a minute at most; with `proxy_hops` set, that
    there is none.
    """

    def __init__(
        self,
        store: Store,
        *,
        proxy_hops: int,
        is_public: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._clock = clock
        self._is_declared = proxy_hops > 0
        self._is_done = not is_public
        self._lock = threading.Lock()
        self._is_seen = threading.Event()
        self._is_started = False
        self._window = _Window(clock())
        self._alike = 0
        self._peers: set[str] = set()

    def see(self, path: str, peer: str, headers: Mapping[str, str]) -> None:
        """Look at a request: path, address of its peer, and headers with lower-case names."""
        if self._is_done:
            return
        if self._is_declared:
            if any(name in headers for name in FORWARDING):
                self._is_done = True
                self._begin()
        elif path not in BESIDE and self._is_evident(peer, headers):
            self._is_seen.set()
            self._begin()

    def write(self, *, now: datetime) -> None:
        """Write what was seen since the last time; what cannot be written now is seen again."""
        self._is_seen.clear()
        try:
            with self._store.write() as connection:
                if self._is_declared:
                    proxies.forget(connection, now=now)
                else:
                    proxies.note(connection, now=now)
        except SQLAlchemyError as error:
            log.warning("a proxy in front could not be noted (%s)", type(error).__name__)

    def _is_evident(self, peer: str, headers: Mapping[str, str]) -> bool:
        """Count a request; return whether it shows a proxy, itself or as the end of windows."""
        said = next((headers[name] for name in FORWARDING if name in headers), None)
        if is_peer_nearby(peer):
            return said is not None
        with self._lock:
            at_s, window = self._clock(), self._window
            window.add(peer, said)
            if not window.is_over(at_s):
                return False
            self._window = _Window(at_s)
            self._peers |= window.peers
            if not window.looks_proxied() or len(self._peers) > MOST_PEERS:
                self._alike, self._peers = 0, set()
                return False
            self._alike += 1
            return self._alike >= WINDOWS

    def _begin(self) -> None:
        with self._lock:
            if self._is_started:
                return
            self._is_started = True
        if not self._is_declared:
            log.warning("%s.", proxies.SENTENCE)
        threading.Thread(target=self._run, name="proxy-watch", daemon=True).start()

    def _run(self) -> None:
        self.write(now=datetime.now(UTC))
        pause = threading.Event()
        while not self._is_done:
            pause.wait(WRITTEN_EVERY_S)
            if self._is_seen.is_set():
                self.write(now=datetime.now(UTC))


def _network_of(peer: str) -> str:
    address = parse_address(peer)
    return peer if address is None else network_block(address)
