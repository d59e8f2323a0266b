"""Reload of `hub.yaml` on HUP: a good file is taken over, a faulty one changes nothing."""

import os
import signal
from pathlib import Path

import pytest

from tests.far_end import FarEnd
from tests.running import PLAIN, RunningHub, stripe_event, until

FAULTY = PLAIN.replace("adapter: stripe", "adapter: strype")
OTHER = '  other: {adapter: stripe, secrets: ["${STRIPE_WEBHOOK_SECRET}"]}\n'
LARGER = PLAIN.replace("destinations:", f"{OTHER}destinations:")


@pytest.fixture
def hub(tmp_path, sqlite_url, redis_url):
    with FarEnd() as far_end:
        environ = {"FAR_END": far_end.url}
        with RunningHub(
            tmp_path, database_url=sqlite_url, redis_url=redis_url, environ=environ
        ) as hub:
            hub.start("web")
            yield hub


def log(hub: RunningHub) -> str:
    return (hub.folder / "web.log").read_text()


def children(hub: RunningHub) -> list[int]:
    pid = hub.processes["web"].pid
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def catches_hup(pid: int) -> bool:
    caught = Path(f"/proc/{pid}/status").read_text().partition("SigCgt:")[2].split()[0]
    return bool(int(caught, 16) & 1 << (signal.SIGHUP - 1))


def hang_up(hub: RunningHub) -> None:
    os.kill(hub.processes["web"].pid, signal.SIGHUP)


def test_a_faulty_file_changes_nothing_also_for_a_process_that_comes_anew(hub) -> None:
    (hub.folder / "hub.yaml").write_text(FAULTY)
    hang_up(hub)
    until(lambda: "not taken over" in log(hub), 20, "the fault to be told")
    assert "strype" in log(hub)
    assert hub.post(stripe_event("evt_1")) == 200
    [old] = children(hub)
    os.kill(old, signal.SIGKILL)
    until(lambda: children(hub) not in ([], [old]), 20, "another")
    until(lambda: hub.get("/healthz") == 200, 20, "it to answer")
    assert hub.post(stripe_event("evt_2")) == 200


def test_a_good_file_is_taken_over_at_hup(hub) -> None:
    assert hub.get("/webhooks/other") == 404
    (hub.folder / "hub.yaml").write_text(LARGER)
    assert hub.get("/webhooks/other") == 404
    hang_up(hub)
    until(lambda: hub.get("/webhooks/other") == 405, 20, "the new source")


@pytest.mark.parametrize("name", ["worker", "clock"])
def test_hup_ends_the_others_gently_so_that_they_begin_with_the_new_file(hub, name) -> None:
    hub.start(name)
    process = hub.processes[name]
    until(lambda: catches_hup(process.pid), 20, "it to begin")
    process.send_signal(signal.SIGHUP)
    assert process.wait(30) == 0
