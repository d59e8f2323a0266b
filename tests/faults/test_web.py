"""Web servers that are stopped, frozen, starved or met by slow clients: no 2xx is ever lost."""

import os
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress

import psycopg
import pytest

from tests.faults.load import Load, Sender, p99_s
from tests.running import until

ENOUGH_S = 4


@pytest.mark.faults
@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_deploy_under_load_loses_nothing(
    workers, postgresql_url, redis_url, make_hub, far_end, fault
):
    """F7 web SIGTERM and a new one, web workers:"""
    hub = make_hub(postgresql_url, redis_url, environ={"WEB_CONCURRENCY": workers})
    hub.start("web", "worker", "clock")
    with Load(hub) as load:
        for _ in range(3):
            load.run_for(ENOUGH_S)
            old = hub.processes["web"]
            told_at_s = time.monotonic()
            old.send_signal(signal.SIGTERM)
            assert old.wait(30) == 0
            assert time.monotonic() - told_at_s < 10, "it drains what it has and ends"
            hub.start("web")
        fault.is_over()
        load.run_for(ENOUGH_S)
        load.finish()
    fault.check(postgresql_url, far_end, load)
    assert set(load.statuses()) <= {200, 0}, "refused connections only"


@pytest.mark.faults
def test_a_web_server_killed_under_load_loses_nothing(
    postgresql_url, redis_url, make_hub, far_end, fault
):
    """F1 F2 web killed, 5 times"""
    hub = make_hub(postgresql_url, redis_url, environ={"WEB_CONCURRENCY": "2"})
    hub.start("web", "worker", "clock")
    with Load(hub) as load:
        for _ in range(5):
            load.run_for(2)
            hub.kill("web")
            hub.start("web")
        fault.is_over()
        load.finish()
    fault.check(postgresql_url, far_end, load)
    assert set(load.statuses()) <= {200, 0}


def test_sigterm_lets_a_request_that_has_begun_end(
    postgresql_url, redis_url, make_hub, far_end, fault
):
    """F7 web SIGTERM in mid-request"""
    hub = make_hub(postgresql_url, redis_url, hurry=True)
    hub.start("web", "worker", "clock")
    sender = Sender(hub)
    with psycopg.connect(postgresql_url) as locker, ThreadPoolExecutor(4) as pool:
        locker.execute("LOCK TABLE events IN SHARE MODE")
        futures = [pool.submit(sender.send, f"evt_{n}") for n in range(4)]
        with psycopg.connect(postgresql_url, autocommit=True) as admin:
            waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            until(lambda: admin.execute(waiting).fetchone() == (4,), 3, "four requests under way")
        hub.processes["web"].send_signal(signal.SIGTERM)
        locker.rollback()
        assert [future.result() for future in futures] == [200] * 4
    assert hub.processes["web"].wait(30) == 0
    fault.is_over()
    fault.check(postgresql_url, far_end, sender)


@pytest.mark.faults
def test_a_frozen_web_worker_is_replaced_and_the_other_serves(
    postgresql_url, redis_url, make_hub, far_end, fault
):
    """F6 one of two web workers frozen"""
    hub = make_hub(postgresql_url, redis_url, environ={"WEB_CONCURRENCY": "2"})
    hub.start("web", "worker", "clock")
    until(lambda: len(hub.children("web")) == 2, 20, "both web workers")
    frozen = hub.children("web")[0]
    with Load(hub, rate=10) as load:
        load.run_for(2)
        signal_at_s = time.monotonic()
        os.kill(frozen, signal.SIGSTOP)
        until(lambda: frozen not in hub.children("web"), 90, "the arbiter to replace it")
        until(lambda: len(hub.children("web")) == 2, 20, "its successor")
        replaced_s = time.monotonic() - signal_at_s
        fault.is_over()
        load.run_for(2)
        load.finish()
    fault.check(postgresql_url, far_end, load)
    served = [one for one in load.since(signal_at_s) if one.status == 200]
    fault.row["note"] = f", replaced after {replaced_s:.0f} s, {len(served)} served meanwhile"
    assert len(served) > 100


@pytest.mark.faults
def test_a_web_server_without_file_descriptors_comes_back(
    postgresql_url, redis_url, make_hub, far_end, fault
):
    """F51 64 file descriptors"""
    hub = make_hub(postgresql_url, redis_url)
    hub.most_files["web"] = 64
    hub.start("web", "worker", "clock")
    with Load(hub, rate=10) as load:
        load.run_for(2)
        with ExitStack() as held:
            for _ in range(200):
                with suppress(OSError):
                    held.enter_context(socket.create_connection(("127.0.0.1", hub.port), timeout=1))
            load.run_for(8)
        fault.is_over()
        load.run_for(3)
        load.finish(90)
    fault.check(postgresql_url, far_end, load)
    statuses = load.statuses()
    fault.row["note"] = f", {dict(statuses)}"
    assert set(statuses) <= {200, 503, 0}


def creep(port, kind):
    """Open a connection that will send one byte a second."""
    line = socket.create_connection(("127.0.0.1", port), timeout=5)
    if kind == "body":
        head = "POST /webhooks/stripe HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10000\r\n\r\n"
        line.sendall(head.encode())
    return line


@pytest.mark.faults
@pytest.mark.parametrize("kind", ["head", "body"])
def test_200_senders_that_creep_keep_nobody_waiting(
    kind, postgresql_url, redis_url, make_hub, far_end, fault
):
    """F52 200 slow clients, slow in the"""
    hub = make_hub(postgresql_url, redis_url, environ={"WEB_CONCURRENCY": "2"})
    hub.start("web", "worker", "clock")
    text = b"POST /webhooks/stripe HTTP/1.1\r\nHost: localhost\r\nX-Slow: " + b"a" * 1000
    lines = [creep(hub.port, kind) for _ in range(200)]
    try:
        with Load(hub, rate=10) as load:
            for n in range(20):
                for line in lines:
                    with suppress(OSError):
                        line.sendall(text[n : n + 1])
                load.run_for(1)
            slow = list(load.answers)
            for line in lines:
                line.close()
            fault.is_over()
            load.finish()
    finally:
        for line in lines:
            line.close()
    fault.check(postgresql_url, far_end, load)
    longest_s = p99_s(slow) if slow else float("inf")
    good = sum(one.status == 200 for one in slow)
    fault.row["note"] = f", {good} answered meanwhile, p99 {longest_s:.1f} s"
    assert good >= 150, "the good ones were served meanwhile"
    assert longest_s < 2


def test_a_full_disk_under_the_logs_stops_nothing(
    postgresql_url, redis_url, make_hub, far_end, fault
):
    """F50 logs on a full disk"""
    hub = make_hub(postgresql_url, redis_url, hurry=True)
    with open("/dev/full", "wb") as full:
        hub.output = lambda _: full
        hub.start("web", "worker", "clock")
        sender = Sender(hub)
        for n in range(3):
            assert sender.send(f"evt_{n}") == 200
        fault.is_over()
        fault.check(postgresql_url, far_end, sender)
    assert not [name for name in hub.processes if hub.died(name)]
