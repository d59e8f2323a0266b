"""Running hub: its processes, started and killed by tests, and a sender like Stripe."""

import hashlib
import hmac
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import requests

from hub.core.identity import queue_prefix, read_identity
from hub.gateways.database.engine import open_database
from tests.forked import Forked
from tests.listing import delivery_rows
from tests.stores import free_port
from tests.timing import NEVER_S

ROOT = Path(__file__).parents[1]
STRIPE_SECRET = "whsec_for_the_tests_of_this_project"
OPS_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
READY_WITHIN_S = 30

PLAIN = """
site: {name: Acme Roofing, country: US, timezone: America/New_York}
sources:
  stripe: {adapter: stripe, secrets: ["${STRIPE_WEBHOOK_SECRET}"]}
destinations:
  ops: {adapter: http, url: "${FAR_END}/hook", secret: "${OPS_SECRET}", timeout: 5s}
routes:
  all-to-ops:
    on: "*"
    live: any
    do: ops.post
    with: {body: {event: "{{ event.external_id }}", type: "{{ event.type }}"}}
"""


class RunningHub:
    """Processes of one hub in one folder; a context manager that stops them all.

    They are forked; benchmarks start them anew.
    """

    def __init__(
        self,
        folder: Path,
        *,
        database_url: str,
        redis_url: str,
        config: str = PLAIN,
        environ: Mapping[str, str] | None = None,
        begin: Callable[..., Any] = Forked,
    ) -> None:
        self.folder = folder
        self._begin = begin
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        (folder / "hub.yaml").write_text(config)
        self.environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "PYTHONPATH": str(ROOT),
            "DATABASE_URL": database_url,
            "REDIS_URL": redis_url,
            "PORT": str(self.port),
            "STRIPE_WEBHOOK_SECRET": STRIPE_SECRET,
            "OPS_SECRET": OPS_SECRET,
            "HUB_ALLOW_PRIVATE_DESTINATIONS": "1",
            "LOG_FORMAT": "json",
            "WEB_CONCURRENCY": "1",
            **(environ or {}),
        }
        self.processes: dict[str, Any] = {}
        self._database = open_database(database_url)

    def __enter__(self) -> "RunningHub":
        return self

    def __exit__(self, *_: object) -> None:
        self._database.engine.dispose()
        for process in self.processes.values():
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.terminate()
        for process in self.processes.values():
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def start(self, *names: str) -> None:
        """Start processes: `web`, `worker`, `worker-2`, `clock`; wait for web to answer.

        `worker crm sms` is a worker with these arguments.
        """
        for name in names:
            command, *arguments = name.split()
            command = command.partition("-")[0]
            with (self.folder / f"{name}.log").open("ab") as log:
                self.processes[name] = self._begin(
                    "hub",
                    [command, *arguments],
                    cwd=self.folder,
                    env=self.environ,
                    stdout=log,
                    stderr=log,
                )
        if any(name.startswith("web") for name in names):
            until(lambda: self.get("/healthz") == 200, READY_WITHIN_S, "web to answer")

    def signal(self, name: str, number: int) -> None:
        """Send a signal to a process, and to its children if it has any."""
        with suppress(ProcessLookupError):  # the process has ended
            os.killpg(self.processes[name].pid, number)

    def kill(self, name: str) -> None:
        """Kill a process and its children, and wait for its end."""
        self.signal(name, signal.SIGKILL)
        self.processes.pop(name).wait()

    def queue_name(self, destination: str, site: str | None = None) -> str:
        """Return the name of a destination's RQ queue."""
        with self._database.read() as connection:
            identity = read_identity(connection)
        assert identity is not None
        return f"{queue_prefix(site, identity.hub_id)}:{destination}"

    def get(self, path: str) -> int:
        """Return the status of a GET, 0 when nothing answers."""
        try:
            return requests.get(self.address + path, timeout=NEVER_S / 4).status_code
        except requests.RequestException:
            return 0

    def cli(self, *arguments: str) -> Any:
        """Run a command and return its JSON.

        Raises:
            AssertionError: the command failed; with its error output.
        """
        done = self.run(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def deliveries(self, **filters: str) -> list[dict[str, Any]]:
        """Return the deliveries as `hub deliveries` lists them, without starting a process."""
        with self._database.read() as connection:
            return delivery_rows(connection, **filters)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command in a process of its own, as an operator does; return its output."""
        with TemporaryFile("w+") as out, TemporaryFile("w+") as err:
            process = self._begin(
                "hub", arguments, cwd=self.folder, env=self.environ, stdout=out, stderr=err
            )
            try:
                code = process.wait(60)
            finally:
                process.kill()
            said = []
            for file in (out, err):
                file.seek(0)
                said.append(file.read())
        return subprocess.CompletedProcess(arguments, code, *said)

    def logs(self) -> str:
        """Return the log output of all processes."""
        return "".join(path.read_text() for path in sorted(self.folder.glob("*.log")))

    def post(self, body: bytes, *, session: Any = requests, timeout_s: float = 10) -> int:
        """Post a body as Stripe would; return the status, 0 when there was no answer."""
        headers = {"Stripe-Signature": stripe_signature(body), "Content-Type": "application/json"}
        try:
            answer = session.post(
                f"{self.address}/webhooks/stripe", data=body, headers=headers, timeout=timeout_s
            )
        except requests.RequestException:
            return 0
        return int(answer.status_code)


def stripe_event(event_id: str, **changes: Any) -> bytes:
    """Return a payment event of Stripe as JSON."""
    payment = {
        "id": "pi_" + event_id.removeprefix("evt_"),
        "object": "payment_intent",
        "amount": 4200,
        "amount_received": 4200,
        "currency": "usd",
        "customer": None,
        "receipt_email": "jane@example.com",
        "metadata": {},
    }
    event = {
        "id": event_id,
        "object": "event",
        "api_version": "2026-10-28.endive",
        "created": int(time.time()),
        "livemode": True,
        "pending_webhooks": 1,
        "request": {"id": None, "idempotency_key": None},
        "type": "payment_intent.succeeded",
        "data": {"object": payment | changes},
    }
    return json.dumps(event, indent=2).encode()


def stripe_signature(body: bytes, *, at_s: int | None = None, secret: str = STRIPE_SECRET) -> str:
    """Return the header that Stripe would send with a body."""
    at_s = int(time.time()) if at_s is None else at_s
    digest = hmac.new(secret.encode(), f"{at_s}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at_s},v1={digest}"


def until(holds: Callable[[], Any], within_s: float, what: str) -> None:
    """Wait until a condition holds.

    Raises:
        AssertionError: it did not hold in time.
    """
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, f"waited {within_s:g} s in vain for {what}"
        time.sleep(0.05)
