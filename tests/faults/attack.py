"""Attack on a running hub from all sides at once.

`STRIPE_WEBHOOK_SECRET=whsec_for_the_tests_of_this_project make run` beside
`python -m tests.faults.attack SECONDS` prints what honest senders met meanwhile.
"""

import json
import subprocess
import sys
import time
from types import SimpleNamespace, TracebackType

import click
import requests

from tests.faults.attackers import KINDS
from tests.faults.load import TIMEOUT_S, Answer, Sender, p99_s

PAUSE_S = 0.25


class Attack:
    """Attack by a process of each kind of attacker; a context manager that ends them.

    `answers` says, afterwards, how many answers of each status each kind got; 0 is a broken
    connection.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._processes: dict[str, subprocess.Popen[str]] = {}
        self.answers: dict[str, dict[str, int]] = {}

    def __enter__(self) -> "Attack":
        for kind in KINDS:
            command = [sys.executable, "-m", "tests.faults.attackers", kind, str(self._port)]
            self._processes[kind] = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for process in self._processes.values():
            process.terminate()
        for name, process in self._processes.items():
            out, _ = process.communicate(timeout=TIMEOUT_S)
            self.answers[name] = json.loads(out)


class Honest(Sender):
    """Sender of signed webhooks, that asks for `/healthz` before each; `health` has the answers."""

    health: list[Answer]

    def go_on(self, seconds: float) -> None:
        """Send for so long, each on a connection of its own."""
        self.health = []
        until_s = time.monotonic() + seconds
        while time.monotonic() < until_s:
            started_s = time.monotonic()
            status = self._health()
            took_s = time.monotonic() - started_s
            self.health.append(Answer("", status, None, started_s, took_s))
            self.send(f"evt_honest{len(self.answers)}")
            time.sleep(PAUSE_S)

    def _health(self) -> int:
        try:
            return requests.get(f"{self.hub.address}/healthz", timeout=TIMEOUT_S).status_code
        except requests.RequestException:
            return 0


def main(seconds: float) -> None:
    hub = SimpleNamespace(address="http://127.0.0.1:8000")
    honest = Honest(hub)  # type: ignore[arg-type]
    with Attack(8000) as attack:
        honest.go_on(seconds)
    for name, answers in attack.answers.items():
        click.echo(f"{name:20} {answers}")
    for name, answered in (("/healthz", honest.health), ("signed webhooks", honest.answers)):
        statuses = sorted({one.status for one in answered})
        longest_s = max(one.took_s for one in answered)
        click.echo(
            f"{name:20} {len(answered)} answered {statuses}, p99 {p99_s(answered) * 1000:.0f} ms, "
            f"longest {longest_s * 1000:.0f} ms"
        )


if __name__ == "__main__":
    main(float(sys.argv[1]))
