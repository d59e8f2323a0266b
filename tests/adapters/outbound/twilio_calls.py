"""A Twilio account for tests: its settings, its answers, its lists."""

import json
from collections.abc import Mapping
from datetime import datetime
from email.utils import format_datetime
from typing import Any

from adapters import Answer, Transport
from adapters.twilio.outbound import TwilioOutbound
from tests.adapters.openapi import FIXTURES, Specification
from tests.adapters.outbound.conftest import NOW

SPECIFICATION = Specification(FIXTURES / "twilio" / "twilio_messages_v2010.json")
ACCOUNT = "AC0123456789abcdef0123456789abcdef"
TOKEN = "0123456789abcdef0123456789abcdef"
SERVICE = "MG0123456789abcdef0123456789abcdef"
KEY_SID, KEY_SECRET = "SK" + "b" * 32, "a_secret_of_an_api_key_0123456789"
KEY = {"api_key_sid": KEY_SID, "api_key_secret": KEY_SECRET}
TEMPLATE = "HX" + "c" * 32
MEDIA = ["https://a.example/1.jpg", "https://a.example/2.jpg?x=1&y=2"]
SENDER, TO = "+15005550006", "+12025550199"
TEXT = "Thank you, we received $120.00."
SID = "SM" + "a" * 32
API = f"/2010-04-01/Accounts/{ACCOUNT}"
MESSAGES = f"{API}/Messages.json"
ATTEMPT = "0190f1c2-7a3b-7c11-8000-0123456789ab.2"
JSON = {"content-type": "application/json"}

Said = tuple[int, dict[str, str], bytes]


def says(status: int, value: Any, **headers: str) -> Said:
    return status, JSON | headers, json.dumps(value).encode()


TAKEN = says(201, {"sid": SID, "status": "queued", "error_code": None})


class At:
    """A transport whose answers have this `Date`, or none."""

    def __init__(self, transport: Transport, date: datetime | None = NOW) -> None:
        self._transport = transport
        self._date = {"date": format_datetime(date, usegmt=True)} if date else {}

    def send(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes = b""
    ) -> Answer:
        answer = self._transport.send(method, url, headers=headers, body=body)
        others = {name: value for name, value in answer.headers.items() if name != "date"}
        return Answer(answer.status, others | self._date, answer.body)


def made(transport: Transport, base_url: str | None = None, **settings: Any) -> TwilioOutbound:
    account = {"account_sid": ACCOUNT, "auth_token": TOKEN, "from": SENDER}
    callback_url = settings.pop("callback_url", None)
    loaded = TwilioOutbound.settings_schema().load(account | settings)
    given = {"base_url": base_url, "callback_url": callback_url}
    return TwilioOutbound({**loaded, **{k: v for k, v in given.items() if v}}, transport)


def record(**fields: Any) -> dict[str, Any]:
    """Return a message as the list shows it, created at 11:58:03."""
    return {
        "sid": SID,
        "account_sid": ACCOUNT,
        "api_version": "2010-04-01",
        "body": TEXT,
        "date_created": "Fri, 20 Nov 2026 11:58:03 +0000",
        "date_sent": None,
        "date_updated": "Fri, 20 Nov 2026 11:58:04 +0000",
        "direction": "outbound-api",
        "error_code": None,
        "from": SENDER,
        "num_media": "0",
        "status": "sent",
        "to": TO,
        **fields,
    }


def listed(*records: dict[str, Any], following: str | None = None) -> Said:
    return says(200, {"messages": list(records), "next_page_uri": following})
