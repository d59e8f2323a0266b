"""Crashes of processes at the worst moments: promises are kept, and nothing happens twice."""

import subprocess
import sys
from collections import Counter

import pytest

from tests.faults.hubs import KEYED_AND_ONCE, slow
from tests.faults.load import Sender
from tests.faults.places import EXIT_CODE, PLACES
from tests.running import ROOT, until

WEB = [place for place in PLACES if place.startswith("web")]
# Covered quickly by `test_crash_sweep.py`; here, with a whole hub, in `make faults` only.
ALSO_SWEPT = {
    "worker.before_claim_commit", "worker.before_record", "worker.in_record",
}  # fmt: skip
WORKER = [
    slow(place) if place in ALSO_SWEPT else place
    for place in PLACES
    if place.startswith("worker") and place != "worker.in_take_over"
]
LOUD = {"web.before_commit", "web.after_commit"}


@pytest.mark.parametrize("place", WEB)
def test_a_web_worker_that_dies_loses_and_doubles_nothing(
    place, mostly_postgresql_url, redis_url, make_hub, far_end, fault
):
    """F1 F2 F3 web worker dies"""
    hub = make_hub(mostly_postgresql_url, redis_url, die_at=place, hurry=True)
    hub.start("web", "worker", "clock")
    sender = Sender(hub)
    first = sender.send("evt_1")
    assert first == (0 if place in LOUD else 200)
    until((hub.folder / f"died-at-{place}").exists, 10, "the death")
    fault.is_over()
    if place in LOUD:
        until(lambda: sender.send("evt_1") == 200, 15, "the provider's next try")
    fault.check(mostly_postgresql_url, far_end, sender)
    [event] = hub.cli("events")
    assert event["duplicates"] == (1 if place == "web.after_commit" else 0)
    assert len(far_end.received) == 1


@pytest.mark.parametrize("place", WORKER)
def test_a_worker_that_dies_leaves_the_same_key_or_a_visible_doubt(
    place, mostly_postgresql_url, redis_url, make_hub, far_end, fault
):
    """F9 F47 worker dies"""
    hub = make_hub(
        mostly_postgresql_url, redis_url, die_at=place, hurry=True, config=KEYED_AND_ONCE
    )
    hub.start("web", "worker", "clock")
    sender = Sender(hub)
    for n in range(3):
        assert sender.send(f"evt_{n}") == 200
    until(lambda: hub.died("worker"), 20, "the death")
    assert hub.processes["worker"].returncode == EXIT_CODE
    fault.is_over()
    hub.start("worker")
    fault.check(mostly_postgresql_url, far_end, sender)
    texts = Counter(one.json["text"] for one in far_end.received if one.path == "/slack")
    assert max(texts.values(), default=0) <= 1, "a call without a key was repeated on a guess"
    chats = [row for row in hub.cli("deliveries") if row["destination"] == "chat"]
    assert {row["state"] for row in chats} <= {"succeeded", "unknown"}
    assert sum(row["state"] == "succeeded" for row in chats) <= sum(texts.values())


def test_no_setting_makes_the_product_itself_crash():
    product = [*(ROOT / "hub").rglob("*.py"), *(ROOT / "adapters").rglob("*.py"), ROOT / "wsgi.py"]
    assert product
    assert not [path for path in product if "CRASH_AT" in path.read_text()]


def test_a_place_that_does_not_exist_is_an_error_of_the_test():
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.crashing", "check"],
        env={"CRASH_AT": "web.nowhere", "PYTHONPATH": str(ROOT)},
        capture_output=True,
    )
    assert done.returncode == 1
    assert b"KeyError" in done.stderr
