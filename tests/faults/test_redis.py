"""Redis faults: it dies, forgets, stalls or is full; webhooks are accepted and work is done."""

import contextlib

import pytest
import redis

from tests.faults.load import Load, Sender, p99_s
from tests.running import until
from tests.stores import RedisServer

ENOUGH_S = 4


def test_without_any_redis_webhooks_are_taken_in_and_work_is_done(
    postgresql_url, store_folder, make_hub, far_end, fault
):
    """F10 no Redis at all"""
    hub = make_hub(postgresql_url, RedisServer(store_folder).url, hurry=True)
    hub.start("web", "worker", "clock")
    sender = Sender(hub)
    for n in range(5):
        assert sender.send(f"evt_{n}") == 200
    fault.is_over()
    fault.check(postgresql_url, far_end, sender)
    assert fault.row["heal_s"] <= 10


@pytest.mark.faults
@pytest.mark.parametrize("durable", [True, False], ids=["aof", "no aof"])
def test_redis_killed_under_load(durable, postgresql_url, store_folder, make_hub, far_end, fault):
    """F10 Redis killed, back after 3 s"""
    server = RedisServer(store_folder, durable=durable)
    server.start()
    hub = make_hub(postgresql_url, server.url)
    hub.start("web", "worker", "clock")
    with Load(hub) as load:
        load.run_for(ENOUGH_S)
        server.kill()
        load.run_for(3)
        server.start()
        fault.is_over()
        load.run_for(ENOUGH_S)
        load.finish()
    fault.check(postgresql_url, far_end, load)
    assert set(load.statuses()) == {200}
    assert fault.row["heal_s"] <= 15
    server.stop()


@pytest.mark.faults
def test_redis_emptied_every_second_under_load(postgresql_url, redis_url, make_hub, far_end, fault):
    """F11 FLUSHALL every second"""
    hub = make_hub(postgresql_url, redis_url)
    hub.start("web", "worker", "clock")
    with Load(hub) as load, redis.Redis.from_url(redis_url) as client:
        for _ in range(12):
            load.run_for(1)
            client.flushall()
        fault.is_over()
        load.finish()
    fault.check(postgresql_url, far_end, load)
    assert set(load.statuses()) == {200}
    assert not hub.died("worker")


@pytest.mark.faults
def test_no_webhook_waits_for_a_redis_that_stalls(
    postgresql_url, own_redis, make_hub, far_end, fault
):
    """F12 Redis stalled for 10 s"""
    hub = make_hub(postgresql_url, own_redis.url)
    hub.start("web", "worker", "clock")
    with Load(hub) as load:
        load.run_for(ENOUGH_S)
        own_redis.freeze()
        load.run_for(10)
        own_redis.thaw()
        fault.is_over()
        load.run_for(ENOUGH_S)
        load.finish()
    fault.check(postgresql_url, far_end, load)
    assert set(load.statuses()) == {200}
    fault.row["note"] = f", p99 {p99_s(load.answers):.2f} s"
    assert p99_s(load.answers) < 2


@pytest.mark.faults
@pytest.mark.parametrize("policy", ["noeviction", "allkeys-lru"])
def test_a_full_redis_stops_neither_webhooks_nor_work(
    policy, postgresql_url, own_redis, make_hub, far_end, fault
):
    """F13 F14 Redis full"""
    hub = make_hub(postgresql_url, own_redis.url)
    hub.start("web", "worker", "clock")
    with Load(hub) as load, own_redis.client() as client:
        load.run_for(ENOUGH_S)
        client.config_set("maxmemory-policy", policy)
        client.config_set("maxmemory", 1)
        sender = Sender(hub)
        assert sender.send("evt_while_full") == 200
        until(
            lambda: any(b"evt_while_full" in one.body for one in list(far_end.received)),
            40,
            "work without Redis",
        )
        with contextlib.suppress(redis.RedisError):
            client.config_set("maxmemory", 0)
        fault.is_over()
        load.run_for(ENOUGH_S)
        load.finish()
    fault.check(postgresql_url, far_end, load)
    assert set(load.statuses()) == {200}
