"""From which address somebody posts, as far as the hub can know; it is never logged."""

from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from typing import Any

from hub.core.leads.suspicion import Address

_NEARBY = tuple(
    ip_network(network)
    for network in (
        "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "127.0.0.0/8",
        "169.254.0.0/16", "::1/128", "fc00::/7", "fe80::/10",
    )
)  # fmt: skip
"""Where proxies are: a peer of these that no setting speaks of stands for many visitors."""


def visitor_of(environ: Mapping[str, Any], *, proxy_hops: int) -> Address | None:
    """Return the address of who posts; None if it is not known.

    Of `X-Forwarded-For` only the last `proxy_hops` entries count: what stands before them is the
    sender's own to write.
    """
    peer = _read(environ.get("REMOTE_ADDR") or "")
    if proxy_hops == 0:
        return None if peer is None or _is_nearby(peer) else peer
    said = [part for part in environ.get("HTTP_X_FORWARDED_FOR", "").split(",") if part.strip()]
    if said:
        return _read(said[-min(proxy_hops, len(said))])
    return None if peer is None or _is_nearby(peer) else peer


def _is_nearby(address: Address) -> bool:
    return any(address.version == near.version and address in near for near in _NEARBY)


def _read(text: str) -> Address | None:
    """Return an address that may have a port or brackets around it; None if it is none."""
    bare = text.strip()
    if bare.startswith("["):
        bare = bare[1:].partition("]")[0]
    elif bare.count(":") == 1:
        bare = bare.partition(":")[0]
    try:
        address = ip_address(bare.partition("%")[0])
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address
