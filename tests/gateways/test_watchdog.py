"""Socket deadlines of the watchdog, on real sockets."""

import socket
import threading
import time

import pytest

from hub.gateways.watchdog import Watchdog
from tests.forks import holds_in_a_fork
from tests.timing import NEVER_S, soon


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    ours.settimeout(10)
    yield ours, theirs
    ours.close()
    theirs.close()


@pytest.fixture(scope="module")
def watchdog() -> Watchdog:
    return Watchdog()


def test_a_socket_that_never_speaks_is_shut_down_at_its_time(watchdog, pair) -> None:
    started_s = time.monotonic()
    with watchdog.guard(pair[0], 0.2) as guard:
        assert pair[0].recv(1) == b""
    assert time.monotonic() - started_s >= 0.19
    assert guard.expired


def test_a_socket_that_drips_is_shut_down_at_its_time_too(watchdog, pair) -> None:
    ours, theirs = pair

    def drip() -> None:
        while True:
            try:
                theirs.send(b".")
            except OSError:
                return
            time.sleep(0.01)

    dripping = threading.Thread(target=drip)
    with soon(), watchdog.guard(ours, 0.2) as guard:
        dripping.start()
        while ours.recv(1):
            pass
    assert guard.expired
    theirs.close()
    dripping.join()


def test_a_socket_whose_block_ends_in_time_is_left_alone(watchdog, pair) -> None:
    ours, theirs = pair
    theirs.send(b"a")
    with watchdog.guard(ours, 0.5) as guard:
        assert ours.recv(1) == b"a"
    time.sleep(0.6)
    theirs.send(b"b")
    assert ours.recv(1) == b"b"
    assert not guard.expired


def test_a_block_that_fails_ends_its_deadline_as_well(watchdog, pair) -> None:
    with pytest.raises(TimeoutError), watchdog.guard(pair[0], 0.1):
        raise TimeoutError
    time.sleep(0.2)
    pair[1].send(b"a")
    assert pair[0].recv(1) == b"a"


def test_a_deadline_that_comes_later_but_ends_sooner_is_kept(watchdog, pair) -> None:
    with watchdog.guard(pair[1], NEVER_S) as slow, watchdog.guard(pair[0], 0.1) as quick:
        assert pair[0].recv(1) == b""
    assert (slow.expired, quick.expired) == (False, True)


def test_a_socket_that_is_closed_already_harms_no_other(watchdog, pair) -> None:
    closed = socket.socket()
    closed.close()
    with watchdog.guard(closed, 0.05), watchdog.guard(pair[0], 0.1) as guard:
        assert pair[0].recv(1) == b""
    assert guard.expired


def guards_well(watchdog: Watchdog) -> bool:
    ours, _theirs = socket.socketpair()
    ours.settimeout(10)
    with watchdog.guard(ours, 0.1) as guard:
        said = ours.recv(1)
    return guard.expired and said == b"" and not watchdog._deadlines


def test_a_forked_child_has_deadlines_of_its_own(watchdog, pair) -> None:
    with watchdog.guard(pair[1], 30):  # the child must not inherit this one
        assert holds_in_a_fork(lambda: guards_well(watchdog))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_fork_while_a_thread_is_about_the_deadlines_hangs_nobody(watchdog) -> None:
    is_at_it, go_on = threading.Event(), threading.Event()

    def be_about_them() -> None:
        with watchdog._condition:
            is_at_it.set()
            go_on.wait(NEVER_S)

    thread = threading.Thread(target=be_about_them)
    thread.start()
    is_at_it.wait()
    try:
        assert holds_in_a_fork(lambda: guards_well(watchdog), within_s=10)
    finally:
        go_on.set()
        thread.join()
