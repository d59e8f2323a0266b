"""`hub send` to sources that are not authenticated by a signature: a secret address, a form."""

import subprocess
import sys

import pytest
import requests

from tests.running import RunningHub
from tests.web.test_mail import mail

MAIL_SECRET = "what-the-address-of-the-mails-ends-with"
CONFIG = f"""
sources:
  mail: {{adapter: sendgrid_inbound, secrets: [{MAIL_SECRET}]}}
  contact:
    adapter: form
    redirect: https://acme.example/thanks
    fields:
      name: {{required: true}}
      email: {{type: email, required: true}}
      phone: {{type: phone}}
      topic: {{type: choice, choices: [Repair], required: true}}
      note: {{type: longtext, max: 10}}
"""


@pytest.fixture
def hub(tmp_path, sqlite_url, redis_url):
    with RunningHub(
        tmp_path, database_url=sqlite_url, redis_url=redis_url, config=CONFIG
    ) as running:
        running.start("web")
        yield running


def test_samples_arrive_at_the_secret_address_and_at_the_form(hub: RunningHub) -> None:
    sent = {
        (source, kind): hub.cli("send", source, kind, "--times", "2")
        for source, kind in (
            ("mail", "mail"), ("mail", "automatic"), ("contact", "submission"),
        )
    }  # fmt: skip
    assert [event["type"] for event in sent.values()] == [
        "email.received", "sendgrid_inbound.automatic", "lead.submitted",
    ]  # fmt: skip
    assert {event["duplicates"] for event in sent.values()} == {1}
    assert sent["contact", "submission"]["data"]["phone"] == "+12125550123"


def test_an_attachment_is_written_byte_for_byte(hub: RunningHub) -> None:
    content = bytes(range(256)) * 40
    body = mail("with-a-file", files=(b"first", content))
    url = f"{hub.address}/webhooks/mail/{MAIL_SECRET}"
    headers = {"Content-Type": "multipart/form-data; boundary=xYzZY"}
    assert requests.post(url, data=body, headers=headers, timeout=10).status_code == 200
    [event] = hub.cli("events")
    done = subprocess.run(
        [sys.executable, "-m", "hub", "show", event["id"], "--attachment", "2"],
        cwd=hub.folder, env=hub.environ, capture_output=True, check=True,
    )  # fmt: skip
    assert done.stdout == content
    missing = hub.run("show", event["id"], "--attachment", "3")
    assert (missing.returncode, "has 2 attachments" in missing.stderr) == (1, True)


def test_the_secret_of_an_address_is_not_printed(hub: RunningHub) -> None:
    done = hub.run("send", "mail", "--yes")
    assert done.returncode == 0
    assert "/webhooks/mail answered 200" in done.stderr
    assert MAIL_SECRET not in done.stdout + done.stderr + hub.logs()
