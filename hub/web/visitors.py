"""Visitors: the address of whoever sends a request, as far as the hub can know it. Never logged.

Behind a proxy that `HUB_PROXY_HOPS` does not count, all visitors are known by the proxy's address
alone: they share one limit, and `hub.web.proxy_watch` notices it.
"""

from collections.abc import Mapping
from functools import lru_cache
from ipaddress import ip_network
from typing import Any

from hub.core.client_addresses import Address, parse_address

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
    return is_peer_nearby(environ.get("REMOTE_ADDR") or "")


def forwarding_headers(environ: Mapping[str, Any]) -> dict[str, str]:
    """Return the headers of a request in which proxies name the visitor, lower-case."""
    return {name: environ[key] for name, key in _KEYS.items() if key in environ}


@lru_cache(maxsize=256)
def is_peer_nearby(peer: str) -> bool:
    """Return whether a peer is on this machine or network; a socket without an address is."""
    address = parse_address(peer)
    return address is None or _is_nearby(address)


def _is_nearby(address: Address) -> bool:
    return any(address.version == near.version and address in near for near in _NEARBY)
