"""Guarded transport against real sockets: refusals, lost answers, complete answers."""

import gzip
import ipaddress
import logging
import socket
import threading
import time
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters import Answer, AnswerLost, NotSent, TransportError
from hub.gateways.http import connection, ssrf_guard
from hub.gateways.http.sandbox import Recorded, RecordingTransport
from hub.gateways.http.transport import GuardedTransport, prepare
from tests.forks import holds_in_a_fork
from tests.gateways.servers import Far, http_server, make_certificate, raw_server, read_head
from tests.timing import NEVER_S, soon

LOCAL = GuardedTransport(allow_private=True, timeout_s=15)
PATIENT = GuardedTransport(allow_private=True, timeout_s=NEVER_S, connect_timeout_s=0.5)
# So many that an answer of them exceeds every deadline.
PIECES = int(NEVER_S / 0.05)


def _hang(_: socket.socket) -> None:
    time.sleep(NEVER_S)


def send(url: str, transport: GuardedTransport = LOCAL, body: bytes = b"x" * 10) -> Answer:
    return transport.send("POST", url, headers={"x-test": "1"}, body=body)


@pytest.fixture
def far() -> Iterator[Far]:
    with http_server() as server:
        yield server


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """Replace the resolver: `names["a.test"] = ["1.2.3.4"]`; look-ups are listed in `"asked"`."""
    table: dict[str, list[str]] = {"asked": []}
    real = socket.getaddrinfo

    def look_up(host: str, port: int, *args: Any, **kwargs: Any) -> Any:
        if host not in table:
            return real(host, port, *args, **kwargs)
        table["asked"].append(host)
        return [x for address in table[host] for x in real(address, port, type=socket.SOCK_STREAM)]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return table


# Calls that are refused.


@pytest.mark.parametrize(
    "address",
    """
    127.0.0.1 127.8.9.1 10.0.0.1 172.16.0.1 192.168.1.1 169.254.169.254 100.64.0.1 0.0.0.0
    224.0.0.1 255.255.255.255 240.0.0.1 192.0.2.1 198.18.0.1 192.88.99.1
    ::1 :: fe80::1 fc00::1 fd00::1 ff02::1 ::ffff:127.0.0.1 ::ffff:8.8.8.8 64:ff9b::7f00:1
    64:ff9b:1::1 2002:7f00:1::1 2001::1 2001:db8::1 3fff::1 fec0::1 ::127.0.0.1
    """.split(),
)
def test_an_address_that_is_not_public_is_refused(address: str) -> None:
    assert not ssrf_guard.is_public(ipaddress.ip_address(address))
    host = f"[{address}]" if ":" in address else address
    with pytest.raises(NotSent, match=r"not public|no single host"):
        send(f"https://{host}/", GuardedTransport())


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "2a00:1450::1"])
def test_a_public_address_is_public(address: str) -> None:
    assert ssrf_guard.is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "url",
    [
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0x7f.1/",
        "https://0177.0.0.1/",
        "https://127.1/",
        "https://127.0.0.1./",
        "file:///etc/passwd",
        "ftp://example.org/",
        "gopher://example.org/",
        "//example.org/",
        "example.org/path",
        "https://user:word@example.org/",
        "https://user@example.org/",
        "https:///path",
        "https://exa mple.org/",
        "https://example.org\\@10.0.0.1/",
        "https://example.org/a\r\nb",
        "https://[::1/",
        "https://example.org:99999/",
        "",
    ],
)
@pytest.mark.parametrize("private", [True, False])
def test_an_odd_url_is_refused(url: str, private: bool) -> None:
    with pytest.raises(NotSent):
        send(url, GuardedTransport(allow_private=private))
    with pytest.raises(NotSent):
        RecordingTransport(lambda method, url: Answer(200, {}, b"")).send("GET", url, headers={})


@pytest.mark.parametrize("address", ["0.0.0.0", "224.0.0.1", "255.255.255.255", "[::]"])
def test_what_is_no_single_host_is_refused_even_where_private_ones_are_allowed(
    address: str,
) -> None:
    with pytest.raises(NotSent, match="no single host"):
        send(f"http://{address}/")


def test_localhost_is_refused_by_name(far: Far) -> None:
    with pytest.raises(NotSent, match="localhost: resolves to an address that is not public"):
        send(
            far.url.replace("127.0.0.1", "localhost").replace("http:", "https:"), GuardedTransport()
        )
    assert far.connections == 0


def test_a_name_with_one_private_address_among_public_ones_is_refused(
    names: dict[str, list[str]],
) -> None:
    names["mixed.test"] = ["8.8.8.8", "10.0.0.1"]
    with pytest.raises(NotSent, match="not public"):
        send("https://mixed.test/", GuardedTransport())


def test_plain_http_goes_to_private_addresses_only(names: dict[str, list[str]]) -> None:
    names["public.test"] = ["8.8.8.8"]
    names["mixed.test"] = ["127.0.0.1", "8.8.8.8"]
    for name in ("public.test", "mixed.test"):
        with pytest.raises(NotSent, match="only called with https"):
            send(f"http://{name}/")


def test_a_rebinding_name_is_looked_up_once_and_its_connection_stays_pinned(
    far: Far, names: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    names["rebind.test"] = ["127.0.0.1"]
    url = far.url.replace("127.0.0.1", "rebind.test")
    transport = GuardedTransport(allow_private=True, timeout_s=15)
    assert send(url, transport).status == 200
    names["rebind.test"] = ["224.0.0.1"]
    assert send(url, transport).status == 200
    assert names["asked"] == ["rebind.test"]
    assert far.connections == 1
    monkeypatch.setattr(connection, "MAX_IDLE_S", -1)
    with pytest.raises(NotSent, match="no single host"):
        send(url, transport)


def test_the_next_address_is_tried_when_one_refuses(far: Far, names: dict[str, list[str]]) -> None:
    names["two.test"] = ["127.0.0.2", "127.0.0.1"]
    assert send(far.url.replace("127.0.0.1", "two.test")).status == 200


# Calls that were not sent.


def test_a_refused_port_is_not_sent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(NotSent, match=r"127\.0\.0\.1: refused the connection"):
        send(f"http://127.0.0.1:{port}/")


def test_a_name_that_does_not_exist_is_not_sent() -> None:
    with pytest.raises(NotSent, match=r"no such host name|looked up"):
        send("https://nothing-here.invalid/", GuardedTransport(timeout_s=3))


def test_a_resolver_that_hangs_ends_with_the_calls_time(monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()

    def hang(*args: Any, **kwargs: Any) -> list[Any]:
        over.wait(NEVER_S)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    with soon(), pytest.raises(NotSent, match="in time"):
        send("https://slow.test/", GuardedTransport(timeout_s=0.3))
    over.set()


def test_a_port_that_takes_no_connection_is_not_sent() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
        address = server.getsockname()
        full = [socket.socket() for _ in range(4)]
        for filler in full:
            filler.setblocking(False)
            filler.connect_ex(address)
        with soon(), pytest.raises(NotSent, match="in time"):
            send(f"http://127.0.0.1:{address[1]}/", PATIENT)
        for filler in full:
            filler.close()


def test_a_self_signed_certificate_is_not_sent_to(tmp_path: Path) -> None:
    _, context = make_certificate(tmp_path, "127.0.0.1")
    with http_server(context) as far:
        with pytest.raises(NotSent, match=r"certificate is not accepted.*self-signed"):
            send(far.url)
        assert far.seen == []


@pytest.mark.parametrize(("host", "days"), [("other.test", 1), ("127.0.0.1", -1)])
def test_a_certificate_of_another_host_or_time_is_not_sent_to(
    tmp_path: Path, host: str, days: int
) -> None:
    trusted, context = make_certificate(tmp_path, host, days=days)
    with http_server(context) as far:
        transport = GuardedTransport(allow_private=True, timeout_s=15, ca_file=str(trusted))
        with pytest.raises(NotSent, match="certificate is not accepted"):
            send(far.url, transport)
        assert far.seen == []


def test_tls_is_verified_by_name_while_the_address_is_pinned(
    tmp_path: Path, names: dict[str, list[str]]
) -> None:
    names["crm.test"] = ["127.0.0.1"]
    trusted, context = make_certificate(tmp_path, "crm.test")
    shown: list[Any] = []
    context.sni_callback = lambda sock, name, ctx: shown.append(name)
    with http_server(context) as far:
        url = far.url.replace("127.0.0.1", "crm.test")
        transport = GuardedTransport(allow_private=True, timeout_s=15, ca_file=str(trusted))
        assert [send(url, transport).status for _ in range(3)] == [200] * 3
        assert far.connections == 1
        assert shown == ["crm.test"]
        assert far.seen[0].headers["host"].startswith("crm.test:")
        assert send(url, transport, b"y" * 500_000).body == b"{}"
        far.says((200, {}, b"z" * 500_000))
        assert len(send(url, transport).body) == 500_000


def test_a_server_that_speaks_no_tls_is_not_sent_to(far: Far) -> None:
    with pytest.raises(NotSent, match="TLS handshake"):
        send(far.url.replace("http:", "https:"))
    assert far.seen == []


def test_a_tls_handshake_that_hangs_is_not_sent() -> None:
    refused = pytest.raises(NotSent, match="TLS handshake was not finished")
    with raw_server(_hang, reads=False) as url, soon(), refused:
        send(url.replace("http:", "https:"), PATIENT)


# Calls that may have been processed.


def _trickle_head(sock: socket.socket) -> None:
    for byte in b"HTTP/1.1 200 OK\r\nx-long: " + b"a" * PIECES:
        sock.sendall(bytes([byte]))
        time.sleep(0.05)


def _trickle_body(sock: socket.socket) -> None:
    sock.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % PIECES)
    for _ in range(PIECES):
        sock.sendall(b"a")
        time.sleep(0.05)


def _trickle_continues(sock: socket.socket) -> None:
    while True:
        sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        time.sleep(0.01)


@pytest.mark.parametrize("talk", [_trickle_head, _trickle_body, _trickle_continues, _hang])
def test_the_deadline_holds_from_start_to_last_byte(talk: Any) -> None:
    transport = GuardedTransport(allow_private=True, timeout_s=0.5)
    lost = pytest.raises(AnswerLost, match=r"no whole answer came within 0\.5 s")
    with raw_server(talk) as url, soon(), lost:
        send(url, transport)


def test_the_deadline_holds_against_a_server_that_does_not_read() -> None:
    transport = GuardedTransport(allow_private=True, timeout_s=0.5)
    lost = pytest.raises(AnswerLost, match="no whole answer")
    with raw_server(_hang, reads=False) as url, soon(), lost:
        send(url, transport, b"x" * 20_000_000)


def _reset(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


@pytest.mark.parametrize(
    ("talk", "words"),
    [
        (lambda sock: None, "broke"),
        (_reset, "broke"),
        (lambda sock: sock.sendall(b"HTTP/1.1 200 OK\r\ncontent-le"), "broke"),
        (lambda sock: sock.sendall(b"HTTP/1.1 200 OK\r\nx-one: 1\r\n"), "broke"),
        (lambda sock: sock.sendall(b"HTTP/1.1 200 OK\r\n"), "broke"),
        (lambda sock: sock.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{"), "broke"),
        (
            lambda sock: sock.sendall(
                b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\na"
            ),
            "broke",
        ),
        (lambda sock: sock.sendall(b"SSH-2.0-hello\r\n\r\n"), "not HTTP"),
        (lambda sock: sock.sendall(b"HTTP/1.1 200 OK\r\nx: " + b"a" * 100_000), "not HTTP"),
        (
            lambda sock: sock.sendall(
                b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 5\r\n\r\nhello"
            ),
            "not HTTP",
        ),
    ],
)
def test_half_an_answer_is_lost(talk: Any, words: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with raw_server(talk) as url, pytest.raises(AnswerLost, match=words) as caught:
        send(url + "/secret-path?secret=query")
    assert "secret" not in str(caught.value) + caplog.text
    assert "127.0.0.1" in str(caught.value)


def _endless(sock: socket.socket) -> None:
    sock.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        sock.sendall(b"a" * 65536)


def _huge(sock: socket.socket) -> None:
    sock.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 104857600\r\n\r\n")
    while True:
        sock.sendall(b"a" * 65536)


def _bomb(sock: socket.socket) -> None:
    bomb = gzip.compress(bytes(100_000_000))
    head = f"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {len(bomb)}\r\n\r\n"
    sock.sendall(head.encode() + bomb)


@pytest.mark.parametrize("talk", [_endless, _huge, _bomb])
def test_an_answer_that_is_too_large_is_lost_and_memory_stays_bounded(talk: Any) -> None:
    with raw_server(talk) as url:
        if talk is not _bomb:
            tracemalloc.start()
        with pytest.raises(AnswerLost, match="larger than 1024 KiB"):
            send(url, GuardedTransport(allow_private=True, timeout_s=5))
        if talk is not _bomb:
            assert tracemalloc.get_traced_memory()[1] < 16 * 1024 * 1024
            tracemalloc.stop()


def test_a_bomb_is_never_decompressed_whole() -> None:
    bomb = gzip.compress(bytes(100_000_000))
    with http_server() as far:
        far.says((200, {"content-encoding": "gzip"}, bomb))
        tracemalloc.start()
        with pytest.raises(AnswerLost):
            send(far.url, GuardedTransport(allow_private=True, timeout_s=5))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 16 * 1024 * 1024


# Answers.


def test_the_answer_is_whole_and_the_request_is_what_was_asked(far: Far) -> None:
    far.says((404, {"Retry-After": "3", "X-One": "1"}, b"no"))
    answer = LOCAL.send(
        "PATCH", far.url + "/a%40b?c=d", headers={"Content-Type": "x/y"}, body=b"\xff\0"
    )
    assert (answer.status, answer.body) == (404, b"no")
    assert answer.headers["retry-after"] == "3"
    assert answer.headers["x-one"] == "1"
    seen = far.seen[0]
    assert (seen.method, seen.path, seen.body) == ("PATCH", "/a%40b?c=d", b"\xff\0")
    assert seen.headers["content-type"] == "x/y"
    assert seen.headers["accept-encoding"] == "identity"
    assert "cookie" not in seen.headers


def test_a_compressed_answer_is_read(far: Far) -> None:
    far.says((200, {"content-encoding": "gzip"}, gzip.compress(b"hello")))
    assert send(far.url).body == b"hello"


def test_an_answer_of_exactly_the_cap_is_read(far: Far) -> None:
    far.says((200, {}, b"a" * 1000))
    assert (
        len(send(far.url, GuardedTransport(allow_private=True, max_answer_bytes=1000)).body) == 1000
    )
    with pytest.raises(AnswerLost):
        send(far.url, GuardedTransport(allow_private=True, max_answer_bytes=999))


def test_a_redirect_is_an_answer_and_not_followed(far: Far) -> None:
    far.says((302, {"location": "http://169.254.169.254/latest/meta-data"}, b""))
    assert send(far.url).status == 302
    assert len(far.seen) == 1


def test_nothing_is_tried_twice(far: Far) -> None:
    far.says((503, {"retry-after": "0"}, b""))
    assert send(far.url).status == 503
    assert len(far.seen) == 1


def test_cookies_are_not_kept(far: Far) -> None:
    far.says((200, {"set-cookie": "a=b; Path=/"}, b""))
    send(far.url)
    send(far.url)
    assert "cookie" not in far.seen[1].headers


def test_the_environments_proxies_are_ignored(far: Far, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    assert send(far.url).status == 200


def test_a_connection_is_kept_and_replaced_when_it_rested_or_was_closed(
    far: Far, monkeypatch: pytest.MonkeyPatch
) -> None:
    transport = GuardedTransport(allow_private=True, timeout_s=15)
    for _ in range(3):
        send(far.url, transport)
    assert far.connections == 1
    monkeypatch.setattr(connection, "MAX_IDLE_S", -1)
    send(far.url, transport)
    assert far.connections == 2


def test_a_pooled_connection_that_the_server_closed_costs_nothing() -> None:
    def answer_and_close(sock: socket.socket) -> None:
        sock.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")

    with raw_server(answer_and_close) as url:
        for _ in range(5):
            assert send(url).body == b"ok"
            time.sleep(0.02)


def test_a_server_that_closes_in_the_moment_of_reuse_is_lost_not_repeated() -> None:
    heads: list[bytes] = []

    def answer_once(sock: socket.socket) -> None:
        sock.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
        heads.append(read_head(sock))

    with raw_server(answer_once) as url:
        send(url)
        with pytest.raises(AnswerLost):
            send(url)
    assert len(heads) == 1


def test_many_threads_at_once_each_get_their_own_answer() -> None:
    with http_server() as far:
        transport = GuardedTransport(allow_private=True, timeout_s=5, pool_size=16)
        far.says((200, {}, b"{}"))
        with ThreadPoolExecutor(16) as threads:
            bodies = [f"{n}".encode() for n in range(300)]
            statuses = list(threads.map(lambda b: send(far.url, transport, b).status, bodies))
        assert statuses == [200] * 300
        assert sorted(seen.body for seen in far.seen) == sorted(bodies)
        assert far.connections <= 32


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_fork_does_not_use_its_parents_connections(far: Far) -> None:
    transport = GuardedTransport(allow_private=True, timeout_s=15)
    send(far.url, transport)
    assert holds_in_a_fork(lambda: send(far.url, transport).status == 200)
    send(far.url, transport)
    assert far.connections == 2


def test_paths_are_not_logged_even_at_debug(far: Far, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    send(far.url + "/services/T0/B0/secret")
    assert "secret" not in caplog.text


@pytest.mark.parametrize("headers", [{"x": "a\r\nb: c"}, {"a b": "c"}, {"x": "\u20ac"}])
def test_a_header_that_cannot_be_sent_is_not_sent(far: Far, headers: dict[str, str]) -> None:
    with pytest.raises(NotSent):
        LOCAL.send("POST", far.url, headers=headers, body=b"x")
    assert far.seen == []


# The sandbox.


def test_the_sandbox_sends_nothing_and_keeps_the_request_without_secrets() -> None:
    sandbox = RecordingTransport(
        lambda method, url: Answer(201, {}, f"{method} {url}".encode()), secrets=["T0/B0", ""]
    )
    answer = sandbox.send(
        "POST", "https://hooks.test/T0/B0", headers={"authorization": "x"}, body=b"1"
    )
    assert answer == Answer(201, {}, b"POST https://hooks.test/T0/B0")
    assert sandbox.last == Recorded("POST", "https://hooks.test/***", b"1")
    sandbox.send("GET", "http://127.0.0.1/T0/B0?x", headers={})
    assert sandbox.last == Recorded("GET", "http://127.0.0.1/***?x", b"")
    others: list[Recorded | None] = []
    thread = threading.Thread(target=lambda: others.append(sandbox.last))
    thread.start()
    thread.join()
    assert others == [None]


def test_a_secret_address_is_hidden_under_another_host_too() -> None:
    address = "https://hooks.test/services/T0/B0"
    sandbox = RecordingTransport(lambda method, url: Answer(200, {}, b"ok"), secrets=[address])
    sandbox.send("POST", "http://127.0.0.1:9/services/T0/B0", headers={})
    assert sandbox.last == Recorded("POST", "http://127.0.0.1:9***", b"")


def test_the_calls_of_one_action_share_one_deadline() -> None:
    with raw_server(_hang) as url:
        transport = GuardedTransport(timeout_s=1, allow_private=True)
        with soon(8), transport.one_action():
            for _ in range(16):
                with pytest.raises(TransportError):
                    transport.send("POST", url, headers={}, body=b"{}")
        with pytest.raises(AnswerLost):
            transport.send("POST", url, headers={}, body=b"{}")


# What goes out.


@settings(deadline=None)
@given(
    method=st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"]),
    path=st.text(st.characters(blacklist_categories=["Cs", "Cc"], blacklist_characters=" \\")),
    headers=st.dictionaries(
        st.sampled_from(["X-Test", "content-type", "User-Agent", "accept-encoding"]),
        st.text("abc 1;=/"),
    ),
    body=st.binary(max_size=50),
)
def test_a_request_is_prepared_as_requests_itself_does(
    method: str, path: str, headers: dict[str, str], body: bytes
) -> None:
    url = f"https://example.org/{path}"
    ours = {"accept-encoding": "identity", "user-agent": "hub"}
    merged = ours | {name.lower(): text.strip() for name, text in headers.items()}
    expected = requests.Request(method, url, headers=merged, data=body or None).prepare()
    stripped = {name: text.strip() for name, text in headers.items()}
    ready = prepare(method, url, stripped, body)
    assert (ready.method, ready.url, ready.body) == (method, expected.url, body or None)
    assert dict(ready.headers) == dict(expected.headers)
    assert ready.path_url == expected.path_url
