"""Benchmark row of processes: memory at rest and cold start of each, with the example file.

A worker has started when it has called a destination with work that was waiting; the clock's
memory is measured, but not its start.
"""

import os
import time
from pathlib import Path

from tests.bench.far_end import FarEnd, far_end
from tests.bench.load import Webhooks, as_request, press
from tests.bench.report import Row, Target
from tests.bench.stage import Stage
from tests.running import OPS_SECRET, ROOT, RunningHub, until

REST_S = 3
EVENTS = 30


def measure(stage: Stage, *, rounds: int) -> Row:
    """Return the memory in megabytes and the start time in seconds of web, worker and clock."""
    row = Row("processes")
    config = (ROOT / "hub.example.yaml").read_text()
    for _ in range(rounds):
        with far_end(stage.folder) as end, stage.hub(config, **_environ(end)) as hub:
            cold_start_s = {"web": _start_web(hub), "worker": _start_worker(hub, end)}
            hub.start("clock")
            time.sleep(REST_S)
            at_rest_mb = {
                name: max(resident_mb(process.pid)) for name, process in hub.processes.items()
            }
        for name, seconds in cold_start_s.items():
            row.add(f"{name}: cold start", "s", seconds, Target(2, at_most=True))
        for name, megabytes in at_rest_mb.items():
            row.add(f"{name}: at rest", "MB", megabytes, Target(120, at_most=True))
    return row


def _environ(end: FarEnd) -> dict[str, str]:
    return {"OPS_URL": end.url, "OPS_SECRET": OPS_SECRET}


def _start_web(hub: RunningHub) -> float:
    start = time.monotonic()
    hub.start("web")
    return time.monotonic() - start


def _start_worker(hub: RunningHub, end: FarEnd) -> float:
    webhooks = Webhooks("rest")
    bodies = [
        webhooks.body()[1].replace(b'"livemode": false', b'"livemode": true') for _ in range(EVENTS)
    ]
    pressed = press(hub.port, map(as_request, bodies), seconds=30, connections=4)
    assert pressed.accepted == EVENTS, "webhooks were refused"
    start = time.monotonic()
    hub.start("worker")
    until(end.count, 30, "the worker's first call")
    return end.calls()[0][0] - start


def resident_mb(pid: int) -> list[float]:
    """Return the resident memory of a process and each of its children, shared pages included."""
    found = []
    for child in family(pid):
        pages = int(Path(f"/proc/{child}/statm").read_text().split()[1])
        found.append(pages * os.sysconf("SC_PAGE_SIZE") / 1_000_000)
    return found


def family(pid: int) -> list[int]:
    """Return the id of a process and those of its children."""
    return [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]
