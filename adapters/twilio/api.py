"""Client for Twilio's REST API: the calls that the destination makes, and the lists of messages.

https://www.twilio.com/docs/messaging/api/message-resource. Calls go through the hub's transport:
the official library supports no base URL but its own, and its answers do not distinguish an unknown
outcome from a refusal. Lists can be filtered by `DateSent` alone, so a message that was never sent
is in no list that is filtered by date.
"""

from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from adapters.contract.answers import read, read_object
from adapters.contract.errors import AccountRefused, AdapterError
from adapters.contract.inbound import ListedRecord
from adapters.contract.outbound import Answer, Transport
from adapters.twilio.signature import FORM

API = "https://api.twilio.com"
PAGE_SIZE = 100
# Statuses that do not change again, except `delivered` to `read` where recipients confirm reading.
FINAL_STATUSES = frozenset({"delivered", "undelivered", "failed", "read", "canceled"})

Record = Mapping[str, Any]
Query = Iterable[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class TwilioApi:
    """Client for the API of one account."""

    sid: str
    token: str = field(repr=False)
    base_url: str
    transport: Transport

    @classmethod
    def of(cls, settings: Mapping[str, Any], transport: Transport) -> "TwilioApi":
        """Return the client for a destination's settings; without `account_sid` it has a dummy."""
        sid = (settings.get("account_sid") or "").strip() or "AC" + "0" * 32
        token = (settings.get("auth_token") or "").strip()
        base_url = (settings.get("base_url") or API).rstrip("/")
        return cls(sid, token, base_url, transport)

    @property
    def path(self) -> str:
        return f"/2010-04-01/Accounts/{self.sid}"

    def read(self, path: str) -> Answer:
        """Send a read-only request and return the answer."""
        return read(self.transport, self.base_url + path, headers=self._headers())

    def post(self, path: str, fields: Query) -> Answer:
        """Send a request that has an effect and return the answer."""
        headers = self._headers() | {"content-type": FORM}
        body = urlencode(list(fields)).encode("ascii")
        return self.transport.send("POST", self.base_url + path, headers=headers, body=body)

    def _headers(self) -> dict[str, str]:
        basic = b64encode(f"{self.sid}:{self.token}".encode()).decode("ascii")
        return {"accept": "application/json", "authorization": f"Basic {basic}"}


def pages(account: TwilioApi, query: Query) -> Iterator[list[Record]]:
    """Yield the pages of the account's messages, newest first.

    Raises:
        AdapterError: a page could not be read; the message says what to correct.
    """
    return _pages(account, f"{account.path}/Messages.json", query, "messages")


def media_of(account: TwilioApi, message_sid: str) -> list[dict[str, str]]:
    """Return URL and content type of each file of a message; the files are not fetched.

    Raises:
        AdapterError: the list could not be read.
    """
    path = f"{account.path}/Messages/{message_sid}/Media.json"
    found = _pages(account, path, [("PageSize", str(PAGE_SIZE))], "media_list")
    return [
        {
            "url": API + str(item.get("uri", "")).removesuffix(".json"),
            "content_type": str(item.get("content_type", "")),
        }
        for page in found
        for item in page
    ]


def list_messages(
    since: datetime, transport: Transport, settings: Mapping[str, Any]
) -> Iterator[ListedRecord]:
    """Yield the webhook form of each message since `since`, newest first.

    Raises:
        AdapterError: there are no credentials, or a list could not be read.
    """
    if not settings.get("account_sid") or not settings.get("auth_token"):
        raise AccountRefused("to list messages takes `account_sid` and `auth_token`")
    account = TwilioApi.of(settings, transport)
    query = [("DateSent>", at(since)), ("PageSize", str(PAGE_SIZE))]
    for page in pages(account, query):
        for record in page:
            if form := _as_webhook(account, record):
                body = urlencode(form).encode("ascii")
                yield ListedRecord(body, {"content-type": FORM})


def at(instant: datetime) -> str:
    """Return a time in the format of the API's filters."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _pages(account: TwilioApi, path: str, query: Query, name: str) -> Iterator[list[Record]]:
    following: str | None = f"{path}?{urlencode(list(query))}"
    asked: set[str] = set()
    while following:
        asked.add(following)
        told = _told(account.read(following))
        records = told.get(name)
        if not isinstance(records, list) or not all(isinstance(one, dict) for one in records):
            raise AdapterError(f"Twilio answered without a list `{name}`; is `base_url` its API?")
        yield records
        following = _next(told, path, asked)


def _next(told: Record, path: str, asked: set[str]) -> str | None:
    uri = told.get("next_page_uri")
    if not uri:
        return None
    if not isinstance(uri, str) or not uri.startswith(f"{path}?") or uri in asked:
        raise AdapterError("Twilio's list goes on at an address that cannot be right")
    return uri


def _told(answer: Answer) -> Record:
    if answer.status in (401, 403):
        raise AccountRefused(
            f"Twilio answered {answer.status} to a list; check `account_sid` and `auth_token`"
        )
    told = read_object(answer)
    if answer.status != 200 or told is None:
        raise AdapterError(f"Twilio answered {answer.status} to a list; try again later")
    return told


def _as_webhook(account: TwilioApi, record: Record) -> dict[str, str] | None:
    """Return the form of a received message or of a final status; None while it is under way."""
    inbound = record.get("direction") == "inbound"
    status = _text(record, "status")
    if not inbound and status not in FINAL_STATUSES:
        return None
    sid = _text(record, "sid")
    form = {
        "ApiVersion": _text(record, "api_version"),
        "AccountSid": _text(record, "account_sid"),
        "MessageSid": sid,
        "SmsSid": sid,
        "From": _text(record, "from"),
        "To": _text(record, "to"),
    }
    if inbound:
        came_at = _text(record, "date_sent") or _text(record, "date_created")
        form |= {"SmsStatus": "received", "Timestamp": came_at}
        form |= {"Body": _text(record, "body"), "NumMedia": _text(record, "num_media")}
        return form | _media(account, record, sid)
    form |= {"SmsStatus": status, "MessageStatus": status}
    form |= {"Timestamp": _text(record, "date_updated"), "ErrorCode": _text(record, "error_code")}
    return form


def _media(account: TwilioApi, record: Record, sid: str) -> dict[str, str]:
    if _text(record, "num_media") in ("", "0"):
        return {}
    form: dict[str, str] = {}
    for place, item in enumerate(media_of(account, sid)):
        form |= {f"MediaUrl{place}": item["url"]}
        form |= {f"MediaContentType{place}": item["content_type"]}
    return form


def _text(record: Record, name: str) -> str:
    value = record.get(name)
    return "" if value is None else str(value)
