"""Visitor's address: the peer, or the address that the configured proxies report."""

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.web.visitors import FORWARDING, shares_address, visitor_of

PUBLIC = "198.51.100.9"


def visitor(peer: str, said: str | None = None, hops: int = 0) -> str | None:
    environ = {"REMOTE_ADDR": peer} | ({} if said is None else {"HTTP_X_FORWARDED_FOR": said})
    found = visitor_of(environ, proxy_hops=hops)
    return str(found) if found else None


@pytest.mark.parametrize(
    ("peer", "said", "hops", "expected"),
    [
        (PUBLIC, None, 0, PUBLIC),
        (PUBLIC, "203.0.113.7", 0, PUBLIC),
        ("::ffff:198.51.100.9", None, 0, PUBLIC),
        ("2001:db8::1", None, 0, "2001:db8::1"),
        ("127.0.0.1", "203.0.113.7", 0, None),
        ("::1", None, 0, None),
        ("10.1.2.3", None, 0, None),
        ("192.168.0.1", None, 0, None),
        ("172.31.255.255", None, 0, None),
        ("100.64.0.1", None, 0, None),
        ("fd00::1", None, 0, None),
        ("fe80::1%eth0", None, 0, None),
        ("::ffff:10.0.0.1", None, 0, None),
        ("", None, 0, None),
        ("unix:", None, 0, None),
        ("127.0.0.1", "203.0.113.7", 1, "203.0.113.7"),
        ("127.0.0.1", "1.1.1.1, 203.0.113.7", 1, "203.0.113.7"),
        ("127.0.0.1", "1.1.1.1, 203.0.113.7, 10.0.0.1", 2, "203.0.113.7"),
        ("127.0.0.1", "203.0.113.7", 2, "203.0.113.7"),
        ("127.0.0.1", "10.9.9.9", 1, "10.9.9.9"),
        ("127.0.0.1", "203.0.113.7:51234", 1, "203.0.113.7"),
        ("127.0.0.1", "[2001:db8::1]:51234", 1, "2001:db8::1"),
        ("127.0.0.1", "[2001:db8::1]", 1, "2001:db8::1"),
        ("127.0.0.1", "2001:db8::1", 1, "2001:db8::1"),
        ("127.0.0.1", "203.0.113.7, unknown", 1, None),
        ("127.0.0.1", " , ,", 1, None),
        ("127.0.0.1", None, 1, None),
        (PUBLIC, None, 1, PUBLIC),
    ],
)
def test_whose_address_it_is(peer, said, hops, expected) -> None:
    assert visitor(peer, said, hops) == expected


@given(forged=st.text(max_size=40), hops=st.integers(1, 3))
def test_what_the_sender_writes_before_the_proxies_changes_nothing(forged, hops) -> None:
    added = ["203.0.113.7", "10.0.0.1", "10.0.0.2"][:hops]
    said = ", ".join([forged.replace(",", ""), *added])
    assert visitor("127.0.0.1", said, hops) == "203.0.113.7"


@given(st.text(max_size=60), st.text(max_size=60), st.integers(0, 10))
def test_nothing_that_stands_there_is_an_error(peer, said, hops) -> None:
    found = visitor(peer, said, hops)
    assert found is None or ip_address(found)


@pytest.mark.parametrize("header", FORWARDING)
@pytest.mark.parametrize("peer", ["127.0.0.1", "::1", "10.1.2.3", "172.17.0.1", "", "unix:"])
def test_behind_a_proxy_that_is_not_counted_all_are_one(peer, header) -> None:
    environ = {"REMOTE_ADDR": peer, f"HTTP_{header.upper().replace('-', '_')}": "203.0.113.7"}
    assert shares_address(environ, proxy_hops=0, is_public=True)
    assert not shares_address(environ, proxy_hops=1, is_public=True)
    assert not shares_address(environ, proxy_hops=0, is_public=False)
    assert not shares_address({"REMOTE_ADDR": peer}, proxy_hops=0, is_public=True)


@pytest.mark.parametrize("header", FORWARDING)
def test_a_stranger_s_header_puts_nobody_under_the_shared_limit(header) -> None:
    environ = {"REMOTE_ADDR": PUBLIC, f"HTTP_{header.upper().replace('-', '_')}": "127.0.0.1"}
    assert not shares_address(environ, proxy_hops=0, is_public=True)
    assert visitor_of(environ, proxy_hops=0) == ip_address(PUBLIC)
