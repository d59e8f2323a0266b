"""Clock processes that stop or run twice, and machines with a wrong time."""

import pytest

from tests.far_end import Reply
from tests.faults.hubs import KEYED_AND_ONCE, polite, slow
from tests.faults.load import Load, Sender
from tests.running import until


def test_retries_come_from_the_database_without_a_scheduler_of_rq(
    mostly_postgresql_url, redis_url, make_hub, far_end, fault
):
    """F20 retries without RQ's scheduler"""
    far_end.behave = lambda _: Reply(503) if len(far_end.received) < 3 else Reply()
    hub = make_hub(mostly_postgresql_url, redis_url, hurry=True)
    hub.start("web", "worker", "clock")
    sender = Sender(hub)
    assert sender.send("evt_1") == 200
    fault.is_over()
    fault.check(mostly_postgresql_url, far_end, sender)
    assert len(far_end.received) == 3
    assert len(far_end.keys()) == 1


@pytest.mark.parametrize("clocks", [("clock",), ("clock", "clock-2")], ids=["killed", "two"])
def test_one_clock_that_dies_or_two_that_live_change_nothing(
    clocks, postgresql_url, redis_url, make_hub, far_end, fault
):
    """F49 clock"""
    hub = make_hub(postgresql_url, redis_url, hurry=True, config=KEYED_AND_ONCE)
    hub.start("web", "worker", *clocks)
    with Load(hub) as load:
        load.run_for(2)
        if len(clocks) == 1:
            hub.kill("clock")
            load.run_for(1)
            hub.start("clock")
        fault.is_over()
        load.run_for(1)
        load.finish()
    fault.check(postgresql_url, far_end, load)
    texts = [one.json["text"] for one in far_end.received if one.path == "/slack"]
    assert len(texts) == len(set(texts)) == len(load.sent())


@pytest.mark.parametrize("shift_s", [310, slow(-310), slow(-3600), slow(3600)])
def test_webhooks_that_a_wrong_clock_refused_are_taken_in_when_it_is_right_again(
    shift_s, sqlite_url, redis_url, make_hub, far_end, fault
):
    """F45 web's clock wrong, s:"""
    hub = make_hub(sqlite_url, redis_url, hurry=True)
    hub.shift_clock("web", shift_s)
    hub.start("web")
    sender = Sender(hub)
    assert sender.send("evt_1") == 401
    [rejected] = hub.cli("requests", "--state", "rejected")
    hub.shift_clock("web", 0)
    assert sender.send("evt_1") == 200
    fault.is_over()
    hub.start("worker", "clock")
    fault.check(sqlite_url, far_end, sender)
    assert "t" in rejected["reason"]


@pytest.mark.faults
@pytest.mark.parametrize("shifts", [(3600, -3600), (-86_400, 86_400)], ids=["1 h", "1 day"])
def test_leases_and_schedules_do_not_feel_a_worker_s_clock(
    shifts, postgresql_url, redis_url, make_hub, far_end, fault
):
    """F45 F46 workers' clocks wrong and jumping by"""
    hub = make_hub(postgresql_url, redis_url, hurry=True, config=KEYED_AND_ONCE)
    hub.shift_clock("worker", shifts[0])
    hub.shift_clock("worker-2", shifts[1])
    hub.start("web", "worker", "worker-2", "clock")
    failed: set[str] = set()

    def behave(call):
        event = call.json.get("event", "")
        if event.endswith("0") and event not in failed:
            failed.add(event)
            return Reply(503)
        return polite(call)

    far_end.behave = behave
    with Load(hub) as load:
        for n in range(4):
            load.run_for(1)
            hub.shift_clock("worker", shifts[n % 2])
            hub.shift_clock("worker-2", shifts[1 - n % 2])
        fault.is_over()
        load.finish()
    fault.check(postgresql_url, far_end, load)
    texts = [one.json["text"] for one in far_end.received if one.path == "/slack"]
    assert len(texts) == len(set(texts)) == len(load.sent())
    until(lambda: not hub.cli("deliveries", "--state", "failed"), 1, "no delivery given up")
