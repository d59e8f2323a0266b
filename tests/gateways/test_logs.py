"""Logs of a process: libraries that print what they send are told not to."""

import json
import subprocess
import sys

from tests.running import ROOT

PROGRAM = """
from hub.gateways.logs import configure_logs
configure_logs("DEBUG", "json")
import adapters.stripe.client
import stripe
class Client(stripe.HTTPClient):
    name = "x"
    def request(self, method, url, headers, post_data=None, **options):
        return '{"id": "cus_1", "email": "jane@example.com"}', 200, {}
client = stripe.StripeClient("sk_test_1", http_client=Client())
client.v1.customers.create({"email": "jane@example.com"})
"""


def test_stripes_library_prints_nothing_whatever_the_environment_says() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=ROOT,
        env={"STRIPE_LOG": "debug", "PATH": "/usr/bin:/bin", "HOME": "/nonexistent"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert (done.stdout, done.stderr) == ("", "")


HOSTILE = "Ann\n2027-01-01 00:00:00 INFO admin signed in\r\x1b[2J\u2028\u0085\x00 end"
WRITING = f"""
import logging
from hub.gateways.logs import configure_logs
configure_logs("INFO", "json")
logging.getLogger("hub").warning("a lead of %s", {HOSTILE!r})
logging.getLogger({HOSTILE!r}).warning("by name")
"""


def test_a_line_stays_one_line_whatever_is_in_it() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WRITING], cwd=ROOT, capture_output=True, timeout=60, check=True
    )
    lines = (done.stderr + done.stdout).decode("ascii").splitlines()
    assert [json.loads(line)["event"] for line in lines] == [f"a lead of {HOSTILE}", "by name"]
    assert all(line.isprintable() for line in lines)
