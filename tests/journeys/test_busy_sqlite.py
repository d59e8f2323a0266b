"""SQLite as `make run` has it: many senders and a slash command beside a worker with a backlog."""

import hashlib
import hmac
import threading
import time
from pathlib import Path
from urllib.parse import urlencode

import requests

from tests.bench.load import Webhooks, press
from tests.far_end import FarEnd
from tests.running import RunningHub, until

SLACK_SECRET = "slack_signing_secret_of_these_tests"
CONFIG = """
sources:
  stripe: {adapter: stripe, secrets: ["${STRIPE_WEBHOOK_SECRET}"]}
  slack:
    adapter: hmac
    secrets: ["${SLACK_SECRET}"]
    header: X-Slack-Signature
    prefix: "v0="
    signs: "v0:{timestamp}:{body}"
    timestamp_header: X-Slack-Request-Timestamp
    id_path: trigger_id
    type_path: command
destinations:
  ops: {adapter: http, url: "${FAR_END}", secret: "${OPS_SECRET}"}
routes:
  one: {on: "*", live: any, do: ops.post, with: {body: {event: "{{ event.external_id }}"}}}
  two: {on: "*", live: any, do: ops.post, with: {body: {event: "{{ event.external_id }}"}}}
"""
BACKLOG, SENT, SENDERS = 150, 450, 64
# How long Slack waits for the answer to a command.
SLACK_WAITS_S = 3


def command(address: str, number: int) -> int:
    """Send a slash command as Slack does; return the status, 0 if none came while it waited."""
    body = urlencode({"command": "/lead", "text": "Jane Doe", "trigger_id": f"13.{number}"})
    now_s = int(time.time())
    signed = f"v0:{now_s}:{body}".encode()
    digest = hmac.new(SLACK_SECRET.encode(), signed, hashlib.sha256).hexdigest()
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "X-Slack-Request-Timestamp": str(now_s),
        "X-Slack-Signature": f"v0={digest}",
    }
    try:
        answer = requests.post(
            f"{address}/webhooks/slack", data=body, headers=headers, timeout=SLACK_WAITS_S
        )
    except requests.RequestException:
        return 0
    return answer.status_code


def test_many_senders_and_a_slash_command_beside_a_busy_worker(
    tmp_path: Path, sqlite_url: str, redis_url: str
) -> None:
    statuses: list[int] = []
    is_over = threading.Event()

    def command_again_and_again(address: str) -> None:
        while not is_over.is_set():
            statuses.append(command(address, len(statuses)))

    with (
        FarEnd() as far_end,
        RunningHub(
            tmp_path,
            database_url=sqlite_url,
            redis_url=redis_url,
            config=CONFIG,
            environ={"FAR_END": far_end.url, "SLACK_SECRET": SLACK_SECRET, "WEB_CONCURRENCY": "2"},
        ) as hub,
    ):
        hub.start("web")
        webhooks = Webhooks("busy")
        backlog = press(hub.port, webhooks.requests(BACKLOG), seconds=60)
        assert (backlog.accepted, backlog.refused) == (BACKLOG, 0)
        hub.start("worker", "clock")
        until(lambda: far_end.received, 30, "the worker's first call")
        commands = threading.Thread(target=command_again_and_again, args=[hub.address])
        commands.start()
        try:
            pressed = press(hub.port, webhooks.requests(SENT), seconds=60, connections=SENDERS)
        finally:
            is_over.set()
            commands.join()
        assert (pressed.accepted, pressed.refused) == (SENT, 0)
        assert set(statuses) == {200}
        events = BACKLOG + SENT + len(statuses)
        until(lambda: len(far_end.received) >= 2 * events, 60, "all calls")
        calls = [received.headers["webhook-id"] for received in far_end.received]
    assert len(set(calls)) == len(calls) == 2 * events
