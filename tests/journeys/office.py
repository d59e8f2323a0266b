"""Office for stories about leads: a running hub, and the far ends of its destinations."""

import json
import secrets
from collections.abc import Callable
from typing import Any

import requests
from sqlalchemy import select, update

from hub.core.models import Acknowledgement, LeadNotification, database_now
from hub.gateways.database.engine import open_database
from tests.far_end import Received, Reply
from tests.running import RunningHub, until
from tests.twilio_far_end import ACCOUNT, SENDER, TwilioFarEnd, callback

DANA, LEE, SAM = "+12025550101", "+12025550102", "+12025550103"
WITHIN_S = 60


class Office:
    """Running hub, and the far ends of its destinations."""

    def __init__(self, hub: RunningHub, twilio: TwilioFarEnd, database_url: str) -> None:
        self.hub = hub
        self.twilio = twilio
        self.calls: dict[str, list[Any]] = {"crm": [], "mail": []}
        self.store = open_database(database_url, pool_size=1)

    def behave(self, received: Received) -> Reply:
        if received.path.startswith("/crm/"):
            self.calls["crm"].append(json.loads(received.body or b"null"))
            return Reply(200, b'{"id": "1"}', {"Content-Type": "application/json"})
        if received.path == "/v3/mail/send":
            self.calls["mail"].append(json.loads(received.body))
            return Reply(202, b"", {"X-Message-Id": "m1"})
        return self.twilio.behave(received)

    def texts(self, number: str) -> list[str]:
        return [one["body"] for one in self.twilio.sent_to(number)]

    def submit(self) -> str:
        values = {"name": "Jane Doe", "email": "jane@example.com", "zip": "22401"}
        answer = requests.post(
            f"{self.hub.address}/forms/contact", json=values, timeout=10, allow_redirects=False
        )
        assert answer.status_code == 200, answer.text
        return str(answer.json()["id"])

    def reply(self, sender: str, body: str) -> None:
        form = {
            "AccountSid": ACCOUNT,
            "MessageSid": f"SM{secrets.token_hex(16)}",
            "SmsStatus": "received",
            "From": sender,
            "To": SENDER,
            "Body": body,
        }
        assert callback(f"{self.hub.address}/webhooks/twilio", form).post() == 200

    def await_(self, holds: Callable[[], Any], what: str) -> None:
        """Wait until a condition holds while all processes live; on failure include their logs."""

        def is_over() -> bool:
            ended = [name for name, one in self.hub.processes.items() if one.poll() is not None]
            assert not ended, f"{ended} ended, and were waited for: {what}"
            return bool(holds())

        try:
            until(is_over, WITHIN_S, what)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.hub.logs()[-20_000:]}") from error

    def let_the_hour_pass(self, number: str) -> None:
        """Wait until the person of that number is notified, then let an hour pass."""
        self.await_(lambda: self.texts(number), "somebody to be told")
        waiting = (LeadNotification.closed_at.is_(None), LeadNotification.due_at.is_not(None))

        def is_seen() -> bool:
            with self.store.read() as connection:
                return (
                    connection.execute(select(LeadNotification.id).where(*waiting)).first()
                    is not None
                )

        self.await_(is_seen, "the clock to see that somebody was told")
        with self.store.write() as connection:
            connection.execute(
                update(LeadNotification).where(*waiting).values(due_at=database_now())
            )

    def notifications(self) -> list[tuple[str, str | None]]:
        """Return the notified people in order, and how each notification ended."""
        columns = select(LeadNotification.person, LeadNotification.ended).order_by(
            LeadNotification.n
        )
        with self.store.read() as connection:
            return [(row.person, row.ended) for row in connection.execute(columns)]

    def takers(self) -> list[tuple[str | None, str]]:
        columns = select(Acknowledgement.person, Acknowledgement.how)
        with self.store.read() as connection:
            return [(row.person, row.how) for row in connection.execute(columns)]
