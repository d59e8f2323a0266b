"""Deadlines of real sockets."""

import os
import socket
import threading
import time

import pytest

from hub.gateways.watchdog import Watchdog
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


def test_a_forked_child_has_deadlines_of_its_own(watchdog, pair) -> None:
    with watchdog.guard(pair[1], 30):  # the child must not inherit this one
        child = os.fork()
        if child == 0:
            ours, _theirs = socket.socketpair()
            ours.settimeout(10)
            with watchdog.guard(ours, 0.1) as guard:
                said = ours.recv(1)
            os._exit(0 if guard.expired and said == b"" and not watchdog._deadlines else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
