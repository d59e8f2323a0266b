"""Logs of a process: libraries that print what they send are told not to."""

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
