"""Example file, run as it stands: no account, no variable, every call in the sandbox."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from tests.running import ROOT, RunningHub

NOTHING_SET = {"STRIPE_WEBHOOK_SECRET": "", "OPS_SECRET": "", "HUB_ALLOW_PRIVATE_DESTINATIONS": ""}
JANE = "jane.doe@example.com"
Sent = dict[str, dict[str, Any]]


@contextmanager
def example(
    folder: Path, database_url: str, redis_url: str, **environ: str
) -> Iterator[RunningHub]:
    config = (ROOT / "hub.example.yaml").read_text("utf-8")
    with RunningHub(
        folder,
        database_url=database_url,
        redis_url=redis_url,
        config=config,
        environ=NOTHING_SET | environ,
    ) as hub:
        yield hub


def played(hub: RunningHub, *arguments: str) -> tuple[dict[str, Any], Sent]:
    """Send a sample; return its event, and the recorded requests by route."""
    event = hub.cli("send", *arguments, "--wait", "30")
    sent = {}
    for delivery in event["deliveries"]:
        assert delivery["state"] == "succeeded", delivery
        assert delivery["sandbox"]
        [attempt] = delivery["attempt_rows"]
        sent[delivery["route"]] = attempt["request"]
    return event, sent


def form(request: dict[str, Any]) -> dict[str, str]:
    return dict(parse_qsl(request["body"], strict_parsing=True))


def mail(request: dict[str, Any]) -> tuple[str, str, str]:
    """Return an e-mail's recipient, subject and text."""
    [envelope] = request["body"]["personalizations"]
    [person], [content] = envelope["to"], request["body"]["content"]
    return person["email"], request["body"]["subject"], content["value"]


def check_payment(hub: RunningHub) -> None:
    event, sent = played(hub, "stripe", "payment_intent.succeeded")
    assert event["type"] == "payment.succeeded"
    assert set(sent) == {
        "payment-to-crm", "payment-receipt", "payment-receipt-text", "payment-to-ops",
    }  # fmt: skip
    crm, ops = sent["payment-to-crm"], sent["payment-to-ops"]
    assert crm["method"] == "PATCH"
    assert crm["url"].startswith("https://api.hubapi.com/crm/v3/objects/contacts/jane.doe%40")
    assert crm["body"]["properties"] == {"firstname": "Jane Doe", "phone": "+12025550123"}
    to, subject, text = mail(sent["payment-receipt"])
    assert (to, subject) == (JANE, "Your payment to Acme Roofing")
    assert "Hello Jane Doe" in text
    assert "\nwe received $129.00 on " in text
    receipt = form(sent["payment-receipt-text"])
    assert sent["payment-receipt-text"]["url"].endswith("/Messages.json")
    assert (receipt["To"], receipt["From"]) == ("+12025550123", "+15005550006")
    assert receipt["Body"] == "Thank you, we received $129.00. Acme Roofing"
    assert ops["url"] == "https://example.org/hook"
    assert (ops["body"]["amount"], ops["body"]["currency"]) == (12900, "USD")


def check_lead(hub: RunningHub) -> None:
    event, sent = played(hub, "contact")
    assert event["type"] == "lead.submitted"
    assert event["state"] == "matched"
    assert set(sent) == {"tell-owner", "lead-to-crm", "lead-confirmation"}
    properties = sent["lead-to-crm"]["body"]["properties"]
    assert properties["firstname"] == event["data"]["name"]
    assert properties["phone"] == event["data"]["phone"]
    assert properties["lifecyclestage"] == "lead"
    [owner] = event["owners"]
    assert properties["lead_owner"] == owner["name"]
    told = form(sent["tell-owner"])
    assert told["To"] == {"dana": "+12025550101", "lee": "+12025550102"}[owner["person"]]
    assert told["Body"].startswith("New lead: Jane Doe, +1")
    assert told["Body"].endswith(" To take it reply 1")
    assert event["data"]["message"][:10] in told["Body"]
    to, subject, text = mail(sent["lead-confirmation"])
    assert (to, subject) == (JANE, "We got your message")
    assert text.startswith("Hello,\n\nthank you for writing to us.")


def check_more_leads(hub: RunningHub) -> None:
    """Assert that sample leads are not held as spam, however many are sent."""
    for _ in range(4):
        event = hub.cli("send", "contact", "--wait", "0")
        assert event["state"] == "matched"


def check_bounce(hub: RunningHub) -> None:
    event, sent = played(hub, "sendgrid", "bounce")
    assert event["type"] == "email.bounced"
    assert set(sent) == {"bounce-to-crm"}
    note = sent["bounce-to-crm"]
    assert (note["method"], note["url"]) == (
        "POST", "https://api.hubapi.com/crm/v3/objects/notes",
    )  # fmt: skip
    text = note["body"]["properties"]["hs_note_body"]
    assert text.startswith(f"An e-mail to {JANE} did not arrive: {event['data']['reason']}")
    assert note["body"]["associations"]


def check_trouble(hub: RunningHub) -> None:
    _, sent = played(hub, "stripe", "charge.dispute.created")
    assert set(sent) == {"payment-to-ops", "trouble-to-chat"}
    assert sent["trouble-to-chat"]["body"]["text"].startswith("payment.disputed: ")


def check_text_message(hub: RunningHub) -> None:
    event, sent = played(hub, "twilio")
    assert event["type"].startswith("sms.")
    assert sent == {}


def test_a_payment_a_lead_and_a_bounce_do_what_the_file_says(
    tmp_path: Path, database_url: str, redis_url: str
) -> None:
    with example(tmp_path, database_url, redis_url) as hub:
        hub.start("web", "worker", "clock")
        check_payment(hub)
        check_lead(hub)
        check_more_leads(hub)
        check_bounce(hub)
        check_trouble(hub)
        check_text_message(hub)


def test_no_published_secret_guards_a_public_hub(
    tmp_path: Path, sqlite_url: str, redis_url: str
) -> None:
    address = "https://hub.example.com"
    with example(tmp_path, sqlite_url, redis_url, HUB_PUBLIC_URL=address) as hub:
        refused = hub.run("check")
        assert refused.returncode != 0
        for place in (
            "sources.stripe.secrets.0",
            "sources.twilio.secrets.0",
            "sources.sendgrid.public_keys.0",
            "sources.sendgrid.sample_key",
        ):
            [line] = [one for one in (refused.stdout + refused.stderr).splitlines() if place in one]
            assert "printed in hub.example.yaml" in line
