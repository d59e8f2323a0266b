"""Client addresses: parsed from what a peer or proxy says, and cut to what one customer has.

Every limit that counts by address has its keys from here. Of IPv4 a customer has one address. Of
IPv6 a provider gives each customer a whole network, a /56 as a rule (RIPE-690 section 4.2), so all
of its addresses are one key; a /48 is the network around it, as a /24 is of IPv4. An IPv4 address
that is mapped into IPv6 (RFC 4291 section 2.5.5.2) is that IPv4 address; the zone of an address
(RFC 4007 section 11) is this machine's own business and is dropped.
"""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

Address = IPv4Address | IPv6Address

_CUSTOMER_BITS = {4: 32, 6: 56}
_NETWORK_BITS = {4: 24, 6: 48}


def parse_address(text: str) -> Address | None:
    """Parse an IP address that may have a port, brackets or a zone; None if it is not one."""
    bare = text.strip()
    if bare.startswith("["):
        bare = bare[1:].partition("]")[0]
    elif bare.count(":") == 1:
        bare = bare.partition(":")[0]
    try:
        return bare_address(ip_address(bare.partition("%")[0]))
    except ValueError:
        return None


def bare_address(address: Address) -> Address:
    """Return an address without its zone, and as IPv4 if it is mapped into IPv6."""
    if isinstance(address, IPv4Address):
        return address
    return address.ipv4_mapped or IPv6Address(int(address))


def customer_block(address: Address) -> str:
    """Return the addresses that one customer has, as a network: the key of limits per address."""
    return _block(address, _CUSTOMER_BITS)


def network_block(address: Address) -> str:
    """Return the network around a customer: the key of limits per network."""
    return _block(address, _NETWORK_BITS)


def customer_block_of(text: str) -> str:
    """Return the `customer_block` of an address in words; the words themselves if they are none."""
    address = parse_address(text)
    return text if address is None else customer_block(address)


def _block(address: Address, bits: dict[int, int]) -> str:
    bare = bare_address(address)
    return str(ip_network((bare, bits[bare.version]), strict=False))
