"""Running hub for faults: its processes can die, hurry, or have a wrong clock."""

import resource
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.far_end import FarEnd, Received, Reply
from tests.forked import Forked
from tests.running import READY_WITHIN_S, RunningHub, until

KEYED = """
sources: {stripe: {adapter: stripe, secrets: ["${STRIPE_WEBHOOK_SECRET}"]}}
destinations:
  ops:
    {adapter: http, url: "${FAR_END}/hook", secret: "${OPS_SECRET}", timeout: 5s,
     retry: {first_delay: 1s}}
routes:
  all-to-ops:
    {on: "*", live: any, do: ops.post, with: {body: {event: "{{ event.external_id }}"}}}
"""

KEYED_AND_ONCE = """
sources: {stripe: {adapter: stripe, secrets: ["${STRIPE_WEBHOOK_SECRET}"]}}
destinations:
  ops:
    {adapter: http, url: "${FAR_END}/hook", secret: "${OPS_SECRET}", timeout: 5s,
     retry: {first_delay: 1s}}
  chat: {adapter: slack, url: "${FAR_END}/slack", timeout: 5s}
routes:
  all-to-ops:
    {on: "*", live: any, do: ops.post, with: {body: {event: "{{ event.external_id }}"}}}
  all-to-chat:
    {on: "*", live: any, do: chat.post, with: {text: "{{ event.external_id }}"}}
"""


def slow(value: Any) -> Any:
    """Mark a value of a parametrized test as one for `make faults` alone."""
    return pytest.param(value, marks=pytest.mark.faults)


def polite(call: Received) -> Reply:
    """Answer as a webhook endpoint would, and as Slack would."""
    return Reply(200, b"ok" if call.path == "/slack" else b"{}")


class FaultyHub(RunningHub):
    """Running hub with faults.

    `die_at` names a place of `tests.faults.crashing`; `hurry` shortens leases and sweeps.
    """

    def __init__(
        self,
        folder: Path,
        *,
        far_end: FarEnd,
        die_at: str = "",
        hurry: bool = False,
        config: str = KEYED,
        **options: Any,
    ) -> None:
        environ = {"FAR_END": far_end.url, "HURRY": "1" if hurry else ""}
        environ |= options.pop("environ", {})
        super().__init__(folder, config=config, environ=environ, **options)
        self.die_at = die_at
        self.most_files: dict[str, int] = {}
        self.most_bytes: dict[str, int] = {}

    def __exit__(self, *error: object) -> None:
        for name in [name for name in self.processes if not self.died(name)]:
            self.thaw(name)
        super().__exit__(*error)

    def start(self, *names: str) -> None:
        """Start processes as `RunningHub.start`."""
        for name in names:
            command, *arguments = name.split()
            command = command.partition("-")[0]
            mine = self.die_at.startswith(command)
            with (self.folder / f"{name}.log").open("ab") as log:
                self.processes[name] = Forked(
                    "tests.faults.crashing",
                    [command, *arguments],
                    cwd=self.folder,
                    env=self.environ
                    | {"CRASH_AT": self.die_at if mine else "", "CLOCK": f"{name}.clock"},
                    stdout=self.output(log),
                    stderr=self.output(log),
                )
            limits = (
                (resource.RLIMIT_NOFILE, self.most_files),
                (resource.RLIMIT_AS, self.most_bytes),
            )
            for what, most in limits:
                if limit := most.get(name):
                    resource.prlimit(self.processes[name].pid, what, (limit, limit))
        if any(name.startswith("web") for name in names):
            until(lambda: self.get("/healthz") == 200, READY_WITHIN_S, "web to answer")

    def output(self, log: Any) -> Any:
        """Return the file that a process writes its output to."""
        return log

    def shift_clock(self, name: str, seconds: float) -> None:
        """Offset the clock of a process from now on."""
        (self.folder / f"{name}.clock.new").write_text(str(seconds))
        (self.folder / f"{name}.clock.new").rename(self.folder / f"{name}.clock")

    def died(self, name: str) -> bool:
        """Return whether a process has ended."""
        return self.processes[name].poll() is not None

    def freeze(self, name: str) -> None:
        self.signal(name, signal.SIGSTOP)

    def thaw(self, name: str) -> None:
        self.signal(name, signal.SIGCONT)

    def children(self, name: str) -> list[int]:
        """Return the ids of the processes that a process has started."""
        pid = self.processes[name].pid
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
