"""Benchmark row of processes: memory and CPU at rest and cold start of each, with the example file.

A worker has started when it has called a destination with work that was waiting; the clock's
memory is measured, but not its start. Starts are held against the import of three libraries.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

from tests.bench.far_end import FarEnd, far_end
from tests.bench.load import Webhooks, as_request, press
from tests.bench.report import Row, Target
from tests.bench.stage import Stage
from tests.running import OPS_SECRET, ROOT, RunningHub, until

REST_S = 30
SETTLES_S = 8
EVENTS = 30
# Of the time that an interpreter takes to import these.
LIBRARIES = "import flask, sqlalchemy, psycopg"
MOST_START = 2
# Shares of one core.
MOST_WEB, MOST_BEHIND = 0.001, 0.005


def measure(stage: Stage, *, rounds: int) -> Row:
    """Return what web, worker and clock take: megabytes, shares of a core, seconds to start."""
    row = Row("processes")
    config = (ROOT / "hub.example.yaml").read_text()
    for _ in range(rounds):
        imports_s = [_imports_s()]
        with far_end(stage.folder) as end, stage.hub(config, **_environ(end)) as hub:
            cold_start_s = {"web": _start_web(hub)}
            imports_s.append(_imports_s())
            cold_start_s["worker"] = _start_worker(hub, end)
            imports_s.append(_imports_s())
            hub.start("clock")
            time.sleep(SETTLES_S)
            shares = _shares_of_a_core(hub)
            at_rest_mb = {
                name: max(resident_mb(process.pid)) for name, process in hub.processes.items()
            }
        libraries_s = min(imports_s)
        row.add(LIBRARIES, "s", libraries_s)
        for name, seconds in cold_start_s.items():
            row.add(f"{name}: cold start", "s", seconds)
            target = Target(MOST_START, at_most=True) if name == "web" else None
            row.add(f"{name}: cold start ÷ these imports", "×", seconds / libraries_s, target)
        for name, megabytes in at_rest_mb.items():
            row.add(f"{name}: at rest", "MB", megabytes, Target(120, at_most=True))
        behind = shares["worker"] + shares["clock"]
        target = Target(MOST_BEHIND, at_most=True)
        row.add("worker and clock at rest, share of a core", "×", behind, target)
        target = Target(MOST_WEB, at_most=True)
        row.add("web at rest, share of a core", "×", shares["web"], target)
    return row


def _imports_s() -> float:
    start = time.monotonic()
    subprocess.run([sys.executable, "-c", LIBRARIES], check=True)
    return time.monotonic() - start


def _shares_of_a_core(hub: RunningHub) -> dict[str, float]:
    """Return the share of a core that each process and its children take over `REST_S` seconds."""
    begin_s = time.monotonic()
    before_s = {name: cpu_s(process.pid) for name, process in hub.processes.items()}
    time.sleep(REST_S)
    taken_s = {name: cpu_s(process.pid) - before_s[name] for name, process in hub.processes.items()}
    over_s = time.monotonic() - begin_s
    return {name: seconds / over_s for name, seconds in taken_s.items()}


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
    for child in [pid, *_children(pid)]:
        pages = int(Path(f"/proc/{child}/statm").read_text().split()[1])
        found.append(pages * os.sysconf("SC_PAGE_SIZE") / 1_000_000)
    return found


def cpu_s(pid: int) -> float:
    """Return the CPU time of a process and its children until now, user and system, in seconds."""
    ticks = 0
    for child in [pid, *_children(pid)]:
        # The name in parentheses may have spaces; proc(5) numbers these fields 14 and 15.
        fields = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def _children(pid: int) -> list[int]:
    return [int(n) for n in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
