"""Workers that are killed or frozen: others take over, and late results count for nothing."""

import threading

import pytest
import redis

from tests.far_end import Reply
from tests.faults.hubs import KEYED, polite
from tests.faults.load import Load, Sender
from tests.running import until


@pytest.mark.faults
def test_a_worker_killed_in_mid_call_is_replaced_within_its_lease(
    postgresql_url, redis_url, make_hub, far_end, fault
):
    """F8 F9 worker killed in mid-call"""
    far_end.behave = lambda _: Reply(after_s=0.5)
    hub = make_hub(postgresql_url, redis_url)
    hub.start("web", "worker", "clock")
    with Load(hub) as load:
        load.run_for(4)
        hub.kill("worker")
        hub.start("worker")
        fault.is_over()
        load.run_for(3)
        load.finish()
    fault.check(postgresql_url, far_end, load)
    assert fault.row["heal_s"] <= 40


@pytest.mark.faults
@pytest.mark.parametrize("name", ["postgresql", "sqlite"])
def test_one_of_two_workers_is_killed_again_and_again(
    name, request, redis_url, make_hub, far_end, fault
):
    """F9 one of two workers killed, 5 times"""
    url = request.getfixturevalue(f"{name}_url")
    hub = make_hub(url, redis_url, hurry=True)
    hub.start("web", "worker", "worker-2", "clock")
    with Load(hub) as load:
        for n in range(5):
            load.run_for(3)
            hub.kill("worker" if n % 2 else "worker-2")
            hub.start("worker" if n % 2 else "worker-2")
        fault.is_over()
        load.finish()
    fault.check(url, far_end, load)


@pytest.mark.faults
def test_a_worker_frozen_past_its_lease_changes_nothing_when_it_thaws(
    postgresql_url, redis_url, make_hub, far_end, fault
):
    """F17 F18 worker frozen past its lease"""
    answer = threading.Event()

    def behave(call):
        if len(far_end.received) == 1:
            answer.wait(30)
        return polite(call)

    far_end.behave = behave
    config = KEYED.replace("timeout: 5s", "timeout: 20s")
    hub = make_hub(postgresql_url, redis_url, hurry=True, config=config)
    hub.start("web", "worker", "clock")
    sender = Sender(hub)
    assert sender.send("evt_1") == 200
    until(lambda: far_end.received, 20, "the first call")
    hub.freeze("worker")
    hub.start("worker-2")
    until(lambda: hub.cli("deliveries")[0]["state"] == "succeeded", 20, "the second call")
    [before] = hub.cli("deliveries")
    shown = hub.cli("show", before["id"])
    answer.set()
    fault.is_over()
    hub.thaw("worker")
    until(lambda: "lost the lane" in hub.logs(), 20, "the first worker to notice")
    fault.check(postgresql_url, far_end, sender)
    assert hub.cli("show", before["id"]) == shown
    assert [one["state"] for one in shown["attempt_rows"]] == ["in_doubt", "accepted"]
    first, second = far_end.received
    assert first.body == second.body
    assert first.headers["webhook-id"] == second.headers["webhook-id"]


def test_an_idle_worker_that_freezes_with_the_wake_up_in_hand_holds_nothing_up(
    postgresql_url, redis_url, make_hub, far_end, fault
):
    """F19 idle worker frozen"""
    hub = make_hub(postgresql_url, redis_url, hurry=True)
    with redis.Redis.from_url(redis_url) as client:
        waits = lambda: any("blpop" in str(one["cmd"]) for one in client.client_list())  # noqa: E731
        hub.start("web", "worker")
        until(waits, 20, "the worker to be idle")
    hub.freeze("worker")
    hub.start("worker-2", "clock")
    sender = Sender(hub)
    assert sender.send("evt_1") == 200
    fault.is_over()
    fault.check(postgresql_url, far_end, sender)
    assert fault.row["heal_s"] <= 20
