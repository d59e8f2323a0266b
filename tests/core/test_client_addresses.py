"""Client addresses: however one is written, and whichever of a customer's it is, one key."""

from ipaddress import IPv4Address, IPv6Address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.client_addresses import (
    customer_block,
    customer_block_of,
    network_block,
    parse_address,
)

V4, V6 = st.ip_addresses(v=4), st.ip_addresses(v=6)
PORTS = st.integers(1, 65535)
# A host within a customer's /56, and a customer within a /48.
HOSTS, CUSTOMERS = st.integers(0, 2**72 - 1), st.integers(0, 2**80 - 1)


def of_network(address: IPv6Address, low: int, bits: int) -> IPv6Address:
    """Return an address with its last `bits` bits replaced by `low`."""
    return IPv6Address(int(address) >> bits << bits | low)


@pytest.mark.parametrize(
    ("said", "customer", "network"),
    [
        ("203.0.113.7", "203.0.113.7/32", "203.0.113.0/24"),
        ("203.0.113.7:51234", "203.0.113.7/32", "203.0.113.0/24"),
        ("::ffff:203.0.113.7", "203.0.113.7/32", "203.0.113.0/24"),
        ("[::ffff:203.0.113.7]:443", "203.0.113.7/32", "203.0.113.0/24"),
        ("2001:db8:1:2ff::9", "2001:db8:1:200::/56", "2001:db8:1::/48"),
        ("[2001:DB8:1:2ff::9]:443", "2001:db8:1:200::/56", "2001:db8:1::/48"),
        ("fe80::1%eth0", "fe80::/56", "fe80::/48"),
    ],
)
def test_what_one_customer_has_and_the_network_around_it(said, customer, network) -> None:
    address = parse_address(said)
    assert address is not None
    assert (customer_block(address), network_block(address)) == (customer, network)
    assert customer_block_of(said) == customer


@given(V6, HOSTS, CUSTOMERS)
def test_all_addresses_of_a_56_are_one_customer_and_all_of_a_48_one_network(
    address, host, customer
) -> None:
    neighbours = of_network(address, host, 72), of_network(address, customer, 80)
    if any(one.ipv4_mapped for one in (address, *neighbours)):
        return
    assert customer_block(neighbours[0]) == customer_block(address)
    assert network_block(neighbours[1]) == network_block(address)
    assert ip_network(customer_block(address)).prefixlen == 56


@given(V4)
def test_an_address_that_is_mapped_into_ipv6_is_the_same(address: IPv4Address) -> None:
    mapped = IPv6Address(f"::ffff:{address}")
    assert customer_block(mapped) == customer_block(address)
    assert network_block(mapped) == network_block(address)
    assert parse_address(f"[::ffff:{address}%1]") == address


@given(V4 | V6, PORTS)
def test_ports_brackets_and_zones_change_nothing(address, port: int) -> None:
    written = [f"[{address}]:{port}", f"[{address}]", f" {address} "]
    written += [f"{address}:{port}"] if address.version == 4 else [f"{address}%eth0"]
    assert {customer_block_of(one) for one in written} == {customer_block(address)}


@given(st.text(max_size=40))
def test_what_is_no_address_is_a_key_of_its_own(text: str) -> None:
    assert parse_address(text) is not None or customer_block_of(text) == text
