"""Twilio far end for texts: messages, their list, the account, and status callbacks.

https://www.twilio.com/docs/messaging/api/message-resource. There is no idempotency key: a text
that is accepted twice is sent twice. Callbacks are signed with the auth token, for the address
that the message was given. An API key, as a standard one, may do all but read the account itself.
"""

import base64
import hmac
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import requests

from tests.behaviours import Answers, Behaviour, Conduct
from tests.far_end import Received, Reply

ACCOUNT = "AC0123456789abcdef0123456789abcdef"
TOKEN = "0123456789abcdef0123456789abcdef"
KEY_SID, KEY_SECRET = "SK" + "b" * 32, "a_secret_of_an_api_key_0123456789"
SENDER = "+15005550006"
API = f"/2010-04-01/Accounts/{ACCOUNT}"
STATUSES = ("queued", "sent", "delivered")
CALLBACK_TIMEOUT_S = 15

JSON = {"Content-Type": "application/json"}


def _says(status: int, value: Any, **headers: str) -> Reply:
    return Reply(status, json.dumps(value).encode(), JSON | headers)


FAILURE = {"code": 20500, "message": "Internal server error", "status": 500}
TOO_MANY = {"code": 20429, "message": "Too many requests", "status": 429}
ANSWERS = Answers(
    failure=_says(500, FAILURE),
    too_many=_says(429, TOO_MANY, **{"Retry-After": "1"}),
    garbage=Reply(201, b"<html>created</html>", {"Content-Type": "text/html"}),
)


@dataclass(frozen=True, slots=True)
class Callback:
    """Status callback: its address and its request."""

    url: str
    headers: dict[str, str]
    body: bytes

    def post(self) -> int:
        """Post the callback; return the status, 0 for no answer."""
        try:
            answer = requests.post(
                self.url, data=self.body, headers=self.headers, timeout=CALLBACK_TIMEOUT_S
            )
        except requests.RequestException:
            return 0
        return answer.status_code


def callback(url: str, form: dict[str, str]) -> Callback:
    """Return a form as Twilio posts it, signed."""
    text = url + "".join(name + form[name] for name in sorted(form))
    digest = hmac.new(TOKEN.encode(), text.encode(), "sha1").digest()
    headers = {
        "content-type": "application/x-www-form-urlencoded; charset=UTF-8",
        "x-twilio-signature": base64.b64encode(digest).decode(),
    }
    return Callback(url, headers, urlencode(form).encode())


class TwilioFarEnd:
    """Twilio account in memory; `behave` is for a `FarEnd`.

    `treat` returns the behaviour towards a message to be sent, `lists` tells whether the list can
    be read, and `tell` gets every status callback of an accepted message, before the message's
    answer is sent.
    """

    def __init__(self, *, timeout_s: float) -> None:
        self.messages: list[dict[str, Any]] = []
        self.treat: Callable[[dict[str, str]], Behaviour] = lambda _: Behaviour.ANSWERS
        self.accepted: Callable[[dict[str, Any]], None] = lambda _: None
        self.tell: Callable[[Callback], None] = lambda _: None
        self.lists = True
        self.conduct = Conduct(ANSWERS, timeout_s=timeout_s)
        self._lock = threading.Lock()

    def behave(self, received: Received) -> Reply:
        """Answer one call of the API."""
        path = urlsplit(received.path).path
        who = self._who(received)
        if who is None or (who == KEY_SID and path == f"{API}.json"):
            return _says(401, {"code": 20003, "message": "Authenticate", "status": 401})
        if (received.method, path) == ("POST", f"{API}/Messages.json"):
            form = dict(parse_qsl(received.body.decode(), strict_parsing=True))
            return self.conduct.carry_out(self.treat(form), lambda: self._accept(form))
        if not self.lists:
            return _says(503, {"code": 20503, "message": "Service unavailable", "status": 503})
        if path == f"{API}/Messages.json":
            query = dict(parse_qsl(urlsplit(received.path).query))
            return _says(200, {"messages": self._listed(query), "next_page_uri": None})
        if path == f"{API}.json":
            return _says(200, {"sid": ACCOUNT, "status": "active"})
        return _says(404, {"code": 20404, "message": "Not found", "status": 404})

    def sent_to(self, number: str) -> list[dict[str, Any]]:
        """Return the messages sent to a number."""
        with self._lock:
            return [one for one in self.messages if one["to"] == number]

    def _who(self, received: Received) -> str | None:
        """Return the user who signs in: the account, or its API key; None for anybody else."""
        given = received.headers.get("authorization")
        for user, secret in ((ACCOUNT, TOKEN), (KEY_SID, KEY_SECRET)):
            basic = base64.b64encode(f"{user}:{secret}".encode()).decode()
            if given == f"Basic {basic}":
                return user
        return None

    def _accept(self, form: dict[str, str]) -> Reply:
        at = format_datetime(datetime.now(UTC))
        with self._lock:
            message = {
                "sid": f"SM{len(self.messages) + 1:032x}",
                "account_sid": ACCOUNT,
                "api_version": "2010-04-01",
                "body": form["Body"],
                "date_created": at,
                "date_sent": at,
                "date_updated": at,
                "direction": "outbound-api",
                "error_code": None,
                "from": form["From"],
                "num_media": "0",
                "status": "delivered",
                "to": form["To"],
            }
            self.messages.append(message)
        for status in STATUSES if "StatusCallback" in form else ():
            self.tell(callback(form["StatusCallback"], _status_form(message, status)))
        self.accepted(message)
        return _says(201, message | {"status": "queued", "date_sent": None})

    def _listed(self, query: dict[str, str]) -> list[dict[str, Any]]:
        """Return the messages of the query's recipient and sender, the newest first."""
        wanted = {"to": query.get("To"), "from": query.get("From")}
        with self._lock:
            return [
                one
                for one in reversed(self.messages)
                if all(value in (None, one[name]) for name, value in wanted.items())
            ]


def _status_form(message: dict[str, Any], status: str) -> dict[str, str]:
    return {
        "SmsSid": message["sid"],
        "SmsStatus": status,
        "MessageStatus": status,
        "To": message["to"],
        "MessageSid": message["sid"],
        "AccountSid": ACCOUNT,
        "From": message["from"],
        "ApiVersion": "2010-04-01",
    }
