"""Poison deliveries that end or hang their worker: few tries, and no harm to other deliveries."""

import signal
from threading import Event, Thread
from typing import Any

import pytest

from hub.worker import watchdog
from tests.far_end import Reply
from tests.faults.hubs import FaultyHub
from tests.faults.load import Load, Sender
from tests.running import until

TWO_LANES = """
sources: {stripe: {adapter: stripe, secrets: ["${STRIPE_WEBHOOK_SECRET}"]}}
destinations:
  ops:
    {adapter: http, url: "${FAR_END}/hook", secret: "${OPS_SECRET}", timeout: 2s,
     retry: {first_delay: 1s, attempts: 5}}
  crm:
    {adapter: http, url: "${FAR_END}/crm", secret: "${OPS_SECRET}", timeout: 2s,
     retry: {first_delay: 1s, attempts: 5}}
routes:
  all-to-ops:
    {on: "*", live: any, do: ops.post, with: {body: {event: "{{ event.external_id }}"}}}
  all-to-crm: {on: "*", live: any, do: crm.post, with: {body: {amount: "{{ data.amount }}"}}}
"""
ENOUGH_BYTES = 2**31
GIVEN_UP_WITHIN_S = 150.0
NEXT_WITHIN_S = 60.0
# Exit codes of a worker, and the log text of each.
ENDS = {
    -signal.SIGABRT: "Fatal Python error: Aborted",
    watchdog.EXIT_CODE: "has lasted longer than its timeout allows",
    1: "Timeout (0:00:08)!",
}


class Keeper:
    """Platform stand-in that restarts a worker after each exit; a context manager."""

    def __init__(self, hub: FaultyHub) -> None:
        self.codes: list[int] = []
        self._hub = hub
        self._over = Event()
        self._thread = Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Keeper":
        self._hub.start("worker")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(0.2):
            if self._hub.died("worker"):
                self.codes.append(self._hub.processes["worker"].returncode)
                self._hub.start("worker")


def poison(hub: FaultyHub, far_end: Any, fault: Any, url: str, *, count: int) -> list[int]:
    """Send poison among innocent events; assert that it is given up and harms no other.

    Return the exit codes of the workers.
    """
    far_end.behave = lambda _: Reply(after_s=0.2)
    hub.start("web", "clock")
    poisoner = Sender(hub)
    with Keeper(hub) as keeper, Load(hub, rate=6) as load:
        load.run_for(2)
        for n in range(count):
            assert poisoner.send(f"evt_poison_{n}") == 200
        given_up = lambda: len(hub.deliveries(state="failed")) == count  # noqa: E731
        until(given_up, GIVEN_UP_WITHIN_S, "the poison to be given up")
        load.run_for(1)
        fault.is_over()
        load.finish()
        fault.check(url, far_end, load)
    rows = hub.deliveries()
    assert len(rows) < 1000, "not all of them are listed"
    others = [row for row in rows if row["state"] != "failed"]
    assert {row["state"] for row in others} == {"succeeded"}
    ops, crm = (
        {one.headers["webhook-id"] for one in far_end.received if one.path == path}
        for path in ("/hook", "/crm")
    )
    assert ops | crm == {row["id"] for row in others}
    assert longest_wait_s(far_end, load) < NEXT_WITHIN_S
    return keeper.codes


def longest_wait_s(far_end: Any, sender: Sender) -> float:
    """Return the longest wait of any event until it first reached the far end, in seconds."""
    came: dict[str, float] = {}
    for one in far_end.received:
        if one.path == "/hook":
            came.setdefault(one.json["event"], one.at_s)
    sent = {one.event_id: one.sent_at_s for one in reversed(sender.answers) if one.status == 200}
    return max(came[event_id] - sent_at_s for event_id, sent_at_s in sent.items())


@pytest.mark.parametrize(
    ("harm", "code", "count"),
    [
        pytest.param("abort", -signal.SIGABRT, 2, id="aborts"),
        pytest.param("loops", watchdog.EXIT_CODE, 1, id="loops", marks=pytest.mark.faults),
        pytest.param(
            "never returns", watchdog.EXIT_CODE, 2, id="never returns", marks=pytest.mark.faults
        ),
        pytest.param("loops in C", 1, 1, id="loops in C"),
    ],
)
def test_a_delivery_that_ends_its_worker_is_given_up_and_harms_no_other(
    harm, code, count, postgresql_url, redis_url, make_hub, far_end, fault
):
    """F22 a call that ends its worker"""
    environ = {"POISON": harm}
    hub = make_hub(postgresql_url, redis_url, hurry=True, config=TWO_LANES, environ=environ)
    codes = poison(hub, far_end, fault, postgresql_url, count=count)
    assert set(codes) == {code}
    assert ENDS[code] in hub.logs()
    assert len(codes) <= 3 * count
    failed = hub.deliveries(state="failed")
    assert {(row["destination"], row["attempts"]) for row in failed} == {("ops", 3)}
    assert all("ended the worker that made it" in row["error"] for row in failed)
    told = {one["subject"]: one["kind"] for one in hub.cli("alerts")}
    assert told == {f"delivery {row['id']}": "delivery ends its workers" for row in failed}


def test_a_call_that_wants_too_much_memory_fails_alone(
    postgresql_url, redis_url, make_hub, far_end, fault
):
    """F22 2 GiB in a call"""
    environ = {"POISON": "allocates"}
    hub = make_hub(postgresql_url, redis_url, hurry=True, config=TWO_LANES, environ=environ)
    hub.most_bytes["worker"] = ENOUGH_BYTES
    assert poison(hub, far_end, fault, postgresql_url, count=1) == []
    [failed] = hub.deliveries(state="failed")
    assert failed["attempts"] == 5
    assert failed["error"] == "gave up after 5 attempts: the adapter failed: MemoryError"


def test_a_worker_that_is_to_stop_while_a_call_hangs_stops(
    postgresql_url, redis_url, make_hub, far_end, fault
):
    """F22 stopped while a call hangs"""
    environ = {"POISON": "never returns"}
    hub = make_hub(postgresql_url, redis_url, hurry=True, config=TWO_LANES, environ=environ)
    hub.start("web", "worker", "clock")
    sender = Sender(hub)
    assert sender.send("evt_poison") == 200
    # The other call may run, and the one that hangs not have been claimed so far.
    hangs = lambda: [row["destination"] for row in hub.deliveries(state="running")] == ["ops"]  # noqa: E731
    until(hangs, 20, "the call that hangs")
    hub.signal("worker", signal.SIGTERM)
    until(lambda: hub.died("worker"), 20, "the worker to end")
    assert hub.processes["worker"].returncode == watchdog.EXIT_CODE
    [done] = [row for row in hub.deliveries() if row["destination"] == "crm"]
    assert done["state"] == "succeeded"
    assert "jane@example.com" not in hub.logs()
