"""SSRF guard: public IP addresses over TLS only, private ones only if the settings allow them.

A host is resolved once; *every* address that it resolves to must be allowed, and the caller then
connects to exactly these. So a name with one private address among public ones is refused, and a
name whose answer changes between check and use (DNS rebinding) gains nothing.
"""

import ipaddress
import re
import socket
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

from urllib3.exceptions import LocationParseError
from urllib3.util import Url, parse_url

# An address family and its socket address.
ResolvedAddress = tuple[socket.AddressFamily, Any]

_IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

_NOT_PUBLIC = [
    ipaddress.ip_network(text)
    for text in (
        "100.64.0.0/10",  # carrier-grade NAT
        "192.0.0.0/24",  # protocol assignments
        "192.88.99.0/24",  # 6to4 relays
        "198.18.0.0/15",  # benchmarks
        "240.0.0.0/4",  # reserved
        "2001::/23",  # protocol assignments, Teredo
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4, which carries any IPv4 address
        "3fff::/20",  # documentation
    )
]
# IANA's global unicast space; NAT64, IPv4-mapped and local addresses lie outside it.
_PUBLIC_V6 = ipaddress.ip_network("2000::/3")

_FORBIDDEN = re.compile(r"[\x00-\x20\x7f\\]")
_NUMERIC = re.compile(r"(0x[0-9a-f]*|[0-9]+)\.?", re.IGNORECASE)


class AddressRefused(Exception):
    """Address that the hub does not call. The message has the reason, and at most the host."""


class HostNotFound(Exception):
    """Host name that could not be resolved, or not in time."""


def read_url(url: str) -> Url:
    """Return the parts of `url`, an `http` or `https` URL with a host.

    Raises:
        AddressRefused: another scheme, no host, credentials, control characters, or an IPv4 address
            that is not written as four decimal numbers.
    """
    if _FORBIDDEN.search(url):
        raise AddressRefused("the address has a space, a backslash or a control character in it")
    try:
        parts = parse_url(url)
    except LocationParseError:
        raise AddressRefused("the address cannot be read") from None
    if parts.scheme not in ("http", "https"):
        raise AddressRefused("the address must start with https:// (or http://)")
    if not parts.host:
        raise AddressRefused("the address names no host")
    if parts.auth is not None:
        raise AddressRefused(f"{parts.host}: the address must not hold a user name or password")
    if _is_odd_number(parts.host):
        raise AddressRefused(f"{parts.host}: write an IPv4 address as four decimal numbers")
    return parts


def resolve(
    host: str, port: int, *, timeout_s: float, encrypted: bool, private: bool
) -> list[ResolvedAddress]:
    """Resolve `host` once and return its addresses, all of which may be called.

    Raises:
        HostNotFound: the name has no address, or resolution took longer than `timeout_s`.
        AddressRefused: one of them is not public and `private` is false, or a public one would
            be called without TLS.
    """
    found = _look_up(host.strip("[]"), port, timeout_s)
    for _, address in found:
        _check(host, ipaddress.ip_address(address[0]), encrypted=encrypted, private=private)
    return found


def is_public(address: _IPAddress) -> bool:
    """Return whether `address` is that of a single host on the public internet."""
    if address.version == 6 and address not in _PUBLIC_V6:
        return False
    if any(address in network for network in _NOT_PUBLIC if network.version == address.version):
        return False
    return address.is_global and not address.is_multicast


def _check(host: str, address: _IPAddress, *, encrypted: bool, private: bool) -> None:
    if is_public(address):
        if not encrypted:
            raise AddressRefused(f"{host}: a public address is only called with https://")
        return
    if address.is_multicast or address.is_unspecified or str(address) == "255.255.255.255":
        raise AddressRefused(f"{host}: resolves to an address that is no single host")
    if not private:
        raise AddressRefused(
            f"{host}: resolves to an address that is not public; only "
            "HUB_ALLOW_PRIVATE_DESTINATIONS=true allows that"
        )


def _look_up(host: str, port: int, timeout_s: float) -> list[ResolvedAddress]:
    """Resolve a host in a thread, with a time-out, which `getaddrinfo` does not have."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        answer: Future[list[ResolvedAddress]] = Future()
        threading.Thread(target=_resolve_into, args=(answer, host, port), daemon=True).start()
        try:
            found = answer.result(timeout_s)
        except TimeoutError:
            raise HostNotFound(f"{host}: its name could not be looked up in time") from None
        except (OSError, UnicodeError) as error:
            unknown = error.args[0] == socket.EAI_NONAME
            reason = "there is no such host name" if unknown else "its name cannot be looked up now"
            raise HostNotFound(f"{host}: {reason}") from None
    else:
        found = _getaddrinfo(host, port)
    if not found:
        raise HostNotFound(f"{host}: its name has no address")
    return found


def _resolve_into(answer: "Future[list[ResolvedAddress]]", host: str, port: int) -> None:
    try:
        answer.set_result(_getaddrinfo(host, port))
    except (OSError, UnicodeError) as error:
        answer.set_exception(error)


def _getaddrinfo(host: str, port: int) -> list[ResolvedAddress]:
    answers: Sequence[Any] = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [(family, address) for family, _, _, _, address in answers]


def _is_odd_number(host: str) -> bool:
    """Return whether the C library reads `host` as IPv4 though it is not in dotted-decimal form."""
    if not _NUMERIC.fullmatch(host.removesuffix(".").rpartition(".")[2]):
        return False
    try:
        ipaddress.IPv4Address(host)
    except ValueError:
        return True
    return False
