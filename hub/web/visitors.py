"""Visitors: the address of whoever sends a request, as far as the hub can know it. Never logged.

Behind a proxy that `HUB_PROXY_HOPS` does not count, all visitors are known by the proxy's address
alone: they share one limit, and `ProxyWatch` says so.
"""

import logging
import threading
import time
from collections.abc import Container, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from ipaddress import ip_network
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from hub.core.client_addresses import Address, parse_address
from hub.core.monitoring import proxies
from hub.core.ports import Store

# Networks of proxies: without a forwarded address, a peer in one of them stands for many visitors.
_NEARBY = tuple(
    ip_network(network)
    for network in (
        "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "127.0.0.0/8",
        "169.254.0.0/16", "::1/128", "fc00::/7", "fe80::/10",
    )
)  # fmt: skip
# Headers in which proxies name the visitor.
FORWARDING = ("x-forwarded-for", "forwarded", "x-real-ip", "cf-connecting-ip")
_KEYS = {name: f"HTTP_{name.upper().replace('-', '_')}" for name in FORWARDING}
# Requests from the internet that must all have such a header before a proxy is assumed, and for how
# long they are counted: anybody can write the header into a request of their own.
LEAST_ALIKE = 20
COUNTED_S = 600.0
WRITTEN_EVERY_S = 60.0

log = logging.getLogger(__name__)


def visitor_of(environ: Mapping[str, Any], *, proxy_hops: int) -> Address | None:
    """Return the visitor's IP address; None if it is not known.

    Only the last `proxy_hops` entries of `X-Forwarded-For` count: the sender can write any others
    before them.
    """
    peer = parse_address(environ.get("REMOTE_ADDR") or "")
    if proxy_hops == 0:
        return None if peer is None or _is_nearby(peer) else peer
    said = [part for part in environ.get("HTTP_X_FORWARDED_FOR", "").split(",") if part.strip()]
    if said:
        return parse_address(said[-min(proxy_hops, len(said))])
    return None if peer is None or _is_nearby(peer) else peer


def shares_address(environ: Mapping[str, Any], *, proxy_hops: int, is_public: bool) -> bool:
    """Return whether a visitor is one of many behind a proxy that `HUB_PROXY_HOPS` does not count.

    The peer has to be on this machine or network too. To a hub without a proxy strangers come from
    addresses of their own, whatever they write: none of them puts others under the shared limit.
    """
    if not is_public or proxy_hops or not forwarding_headers(environ):
        return False
    return _is_peer_nearby(environ.get("REMOTE_ADDR") or "")


def forwarding_headers(environ: Mapping[str, Any]) -> list[str]:
    """Return the headers of a request in which proxies name the visitor, lower-case."""
    return [name for name, key in _KEYS.items() if key in environ]


@lru_cache(maxsize=256)
def _is_peer_nearby(peer: str) -> bool:
    """Return whether a peer is on this machine or network; a socket without an address is."""
    address = parse_address(peer)
    return address is None or _is_nearby(address)


def _is_nearby(address: Address) -> bool:
    return any(address.version == near.version and address in near for near in _NEARBY)


class ProxyWatch:
    """Watch of one process for a proxy that `HUB_PROXY_HOPS` does not count.

    A request from nearby that has a forwarding header is evidence. From the internet it is none
    before every one of `LEAST_ALIKE` requests has it, and none without it came meanwhile. A thread
    writes the evidence to the database, once a minute; with `proxy_hops` set, that there is none.
    """

    def __init__(self, store: Store, *, proxy_hops: int, is_public: bool) -> None:
        self._store = store
        self._is_declared = proxy_hops > 0
        self._is_done = not is_public
        self._lock = threading.Lock()
        self._is_seen = threading.Event()
        self._is_started = False
        self._alike = self._others = 0
        self._counted_from_s = 0.0

    def see(self, peer: str, headers: Container[str]) -> None:
        """Look at a request: its peer's address, and the lower-case names of its headers."""
        if self._is_done:
            return
        forwarded = any(name in headers for name in FORWARDING)
        if self._is_declared:
            if forwarded:
                self._is_done = True
                self._begin()
        elif (_is_peer_nearby(peer) and forwarded) or self._is_common(peer, forwarded):
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

    def _is_common(self, peer: str, forwarded: bool) -> bool:
        if _is_peer_nearby(peer):
            return False
        at_s = time.monotonic()
        with self._lock:
            if at_s - self._counted_from_s > COUNTED_S:
                self._alike, self._others, self._counted_from_s = 0, 0, at_s
            self._alike += forwarded
            self._others += not forwarded
            return forwarded and not self._others and self._alike >= LEAST_ALIKE

    def _begin(self) -> None:
        with self._lock:
            if self._is_started:
                return
            self._is_started = True
        if not self._is_declared:
            log.warning("%s", proxies.SENTENCE)
        threading.Thread(target=self._run, name="proxy-watch", daemon=True).start()

    def _run(self) -> None:
        self.write(now=datetime.now(UTC))
        pause = threading.Event()
        while not self._is_done:
            pause.wait(WRITTEN_EVERY_S)
            if self._is_seen.is_set():
                self.write(now=datetime.now(UTC))
