"""PostgreSQL faults: it dies, locks, refuses or errs; 503, never a lost 2xx, and full recovery."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress

import psycopg
import pytest

from tests.faults.hubs import slow
from tests.faults.load import Load, Sender
from tests.faults.proxy import Proxy
from tests.running import until

ENOUGH_S = 4

ERRS = """
CREATE SEQUENCE mishaps;
CREATE FUNCTION err() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF nextval('mishaps') <= 2 THEN RAISE EXCEPTION 'mishap' USING ERRCODE = '{code}'; END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER errs BEFORE {when} FOR EACH ROW EXECUTE FUNCTION err();
"""


def refused_politely(load):
    """Return whether every refusal was a 503 with Retry-After."""
    statuses = set(load.statuses())
    return statuses <= {200, 503} and all(
        one.retry_after for one in load.answers if one.status == 503
    )


def took_longest_s(load):
    return max(one.took_s for one in load.answers)


@pytest.mark.faults
def test_postgresql_crashes_under_load(own_postgres, redis_url, make_hub, far_end, fault):
    """F24 PostgreSQL immediate restart"""
    hub = make_hub(own_postgres.url(), redis_url)
    hub.start("web", "worker", "clock")
    with Load(hub) as load:
        for _ in range(3):
            load.run_for(ENOUGH_S)
            own_postgres.stop("immediate")
            own_postgres.start()
        fault.is_over()
        load.run_for(ENOUGH_S)
        load.finish()
    fault.check(own_postgres.url(), far_end, load)
    assert refused_politely(load), load.statuses()
    assert not [name for name in hub.processes if hub.died(name)]


@pytest.mark.faults
def test_postgresql_is_gone_for_10_s_under_load(own_postgres, redis_url, make_hub, far_end, fault):
    """F25 PostgreSQL stopped for 10 s"""
    hub = make_hub(own_postgres.url(), redis_url)
    hub.start("web", "worker", "clock")
    with Load(hub) as load:
        load.run_for(ENOUGH_S)
        own_postgres.stop("fast")
        stopped_at_s = time.monotonic()
        load.run_for(10)
        gone = [one for one in load.since(stopped_at_s) if one.sent_at_s < time.monotonic() - 1]
        own_postgres.start()
        fault.is_over()
        load.run_for(ENOUGH_S)
        load.finish()
    fault.check(own_postgres.url(), far_end, load)
    assert {one.status for one in gone} == {503}
    assert max(one.took_s for one in gone) < 3
    assert refused_politely(load), load.statuses()
    assert not [name for name in hub.processes if hub.died(name)]


@pytest.mark.faults
def test_postgresql_drops_its_lines_again_and_again(
    postgresql_url, redis_url, make_hub, far_end, fault
):
    """F24 F31 lines cut twice a second"""
    hub = make_hub(postgresql_url, redis_url, hurry=True)
    hub.start("web", "worker", "clock")
    with Load(hub) as load, psycopg.connect(postgresql_url, autocommit=True) as admin:
        for _ in range(20):
            load.run_for(0.5)
            admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        fault.is_over()
        load.finish()
    fault.check(postgresql_url, far_end, load)
    assert refused_politely(load), load.statuses()
    assert not [name for name in hub.processes if hub.died(name)]


@pytest.mark.faults
def test_a_line_to_postgresql_that_goes_dead_ends_a_request_within_10_s(
    own_postgres, redis_url, make_hub, far_end, fault
):
    """F26 PostgreSQL half-open"""
    with Proxy(own_postgres.port) as proxy:
        url = f"postgresql://postgres@127.0.0.1:{proxy.port}/postgres"
        hub = make_hub(url, redis_url)
        hub.start("web", "worker", "clock")
        with Load(hub, rate=1) as load:
            load.run_for(ENOUGH_S)
            proxy.go_dead()
            sender = Sender(hub)
            dead_at_s = time.monotonic()
            assert sender.send("evt_into_the_dark") == 503
            load.run_for(15)
            dead = [one for one in load.since(dead_at_s) if one.status]
            proxy.revive()
            fault.is_over()
            load.run_for(ENOUGH_S)
            load.finish()
        fault.check(own_postgres.url(), far_end, load)
    fault.row["note"] = f", longest {took_longest_s(load):.1f} s"
    assert refused_politely(sender)
    assert sender.answers[0].took_s < 10
    assert {one.status for one in dead} == {503}
    assert max(one.took_s for one in dead) < 15, "all the threads wait, the next ones behind them"
    assert not [name for name in hub.processes if hub.died(name)]


@pytest.mark.faults
def test_postgresql_has_no_connection_left(own_postgres, redis_url, make_hub, far_end, fault):
    """F28 connections exhausted"""
    hub = make_hub(own_postgres.url(), redis_url)
    with ExitStack() as held:
        with suppress(psycopg.OperationalError):
            while True:
                held.enter_context(psycopg.connect(own_postgres.url()))
        hub.start("web", "worker", "clock")
        sender = Sender(hub)
        with ThreadPoolExecutor(16) as pool:
            assert set(pool.map(sender.send, [f"evt_{n}" for n in range(48)])) == {503}
        assert took_longest_s(sender) < 3
        assert refused_politely(sender)
    fault.is_over()
    for event_id in sorted(sender.sent()):
        until(lambda id_=event_id: sender.send(id_) == 200, 10, "room for the next")
    fault.check(own_postgres.url(), far_end, sender)


def test_a_locked_table_is_a_503_and_not_a_pile_up(
    postgresql_url, redis_url, make_hub, far_end, fault
):
    """F30 LOCK TABLE events"""
    hub = make_hub(postgresql_url, redis_url, hurry=True)
    hub.start("web")
    sender = Sender(hub)
    assert sender.send("evt_before") == 200
    with psycopg.connect(postgresql_url) as locker:
        locker.execute("LOCK TABLE events")
        with ThreadPoolExecutor(8) as pool:
            assert set(pool.map(sender.send, [f"evt_{n}" for n in range(8)])) == {503}
        assert took_longest_s(sender) < 6
        assert refused_politely(sender)
        assert hub.get("/healthz") == 200
    fault.is_over()
    for event_id in sorted(sender.sent() - set(sender.acknowledged())):
        assert sender.send(event_id) == 200
    hub.start("worker", "clock")
    fault.check(postgresql_url, far_end, sender)


@pytest.mark.parametrize("code", ["40P01", slow("40001")], ids=["deadlock", "serialization"])
def test_what_the_database_takes_back_while_recording_is_recorded_again(
    code, postgresql_url, redis_url, make_hub, far_end, fault
):
    """F31 record taken back"""
    hub = make_hub(postgresql_url, redis_url, hurry=True)
    hub.start("web", "worker", "clock")
    with psycopg.connect(postgresql_url, autocommit=True) as admin:
        admin.execute(ERRS.format(code=code, when="UPDATE OF ended_at ON attempts"))
    sender = Sender(hub)
    for n in range(3):
        assert sender.send(f"evt_{n}") == 200
    fault.is_over()
    fault.check(postgresql_url, far_end, sender)
    assert len(far_end.received) == 3
    assert not hub.died("worker")


def test_what_the_database_takes_back_while_ingesting_is_a_503_and_then_taken_in(
    postgresql_url, redis_url, make_hub, far_end, fault
):
    """F31 ingest taken back"""
    hub = make_hub(postgresql_url, redis_url, hurry=True)
    hub.start("web", "worker", "clock")
    with psycopg.connect(postgresql_url, autocommit=True) as admin:
        admin.execute(ERRS.format(code="40P01", when="INSERT ON deliveries"))
    sender = Sender(hub)
    until(lambda: sender.send("evt_1") == 200, 15, "the next try")
    fault.is_over()
    fault.check(postgresql_url, far_end, sender)
    assert set(sender.statuses()) <= {200, 503}
    assert hub.cli("events")[0]["duplicates"] == 0


def test_sqlite_locked_by_another_is_a_503_and_then_taken_in(
    sqlite_url, redis_url, make_hub, far_end, fault
):
    """F30 SQLite locked"""
    import sqlite3

    hub = make_hub(sqlite_url, redis_url, hurry=True)
    hub.start("web", "worker", "clock")
    sender = Sender(hub)
    locker = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)
    locker.execute("BEGIN IMMEDIATE")
    refused = threading.Thread(target=sender.send, args=("evt_1",))
    refused.start()
    refused.join(20)
    locker.execute("ROLLBACK")
    fault.is_over()
    assert sender.statuses() == {503: 1}
    assert sender.send("evt_1") == 200
    fault.check(sqlite_url, far_end, sender)
    assert not hub.died("worker")


def test_a_worker_that_starts_while_sqlite_is_locked_waits(
    sqlite_url, redis_url, make_hub, far_end, fault
):
    """F30 SQLite locked while a worker starts"""
    import sqlite3

    hub = make_hub(sqlite_url, redis_url, hurry=True)
    hub.start("web")
    sender = Sender(hub)
    assert sender.send("evt_1") == 200
    locker = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)
    locker.execute("BEGIN IMMEDIATE")
    hub.start("worker", "clock")
    log = hub.folder / "worker.log"
    until(lambda: "is not ready" in log.read_text(), 30, "the worker to meet the lock")
    locker.execute("ROLLBACK")
    fault.is_over()
    fault.check(sqlite_url, far_end, sender)
    assert not hub.died("worker")
