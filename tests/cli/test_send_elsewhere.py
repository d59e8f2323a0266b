"""`hub send` to sources that are not proven by a signature: a secret address, a form."""

import pytest

from tests.running import RunningHub

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
            ("mail", "mail"), ("mail", "automatic"), ("contact", "submission"), ("contact", "spam"),
        )
    }  # fmt: skip
    assert [event["type"] for event in sent.values()] == [
        "email.received", "sendgrid_inbound.automatic", "lead.submitted", "form.spam",
    ]  # fmt: skip
    assert {event["duplicates"] for event in sent.values()} == {1}
    assert sent["contact", "submission"]["data"]["phone"] == "+12125550123"


def test_the_secret_of_an_address_is_not_printed(hub: RunningHub) -> None:
    done = hub.run("send", "mail", "--yes")
    assert done.returncode == 0
    assert "/webhooks/mail answered 200" in done.stderr
    assert MAIL_SECRET not in done.stdout + done.stderr + hub.logs()
