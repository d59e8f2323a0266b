"""Client for Twilio's REST API: the calls that the destination makes, and the lists of messages.

https://www.twilio.com/docs/messaging/api/message-resource. The official library makes the
requests. Lists can be filtered by `DateSent` alone, so a message that was never sent is in no list
that is filtered by date.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from adapters.contract.answers import read_object
from adapters.contract.errors import AccountRefused, AdapterError
from adapters.contract.inbound import ListedRecord
from adapters.contract.outbound import Answer, Transport
from adapters.twilio.signature import FORM

if TYPE_CHECKING:
    from adapters.twilio.client import TwilioLibrary

API = "https://api.twilio.com"
PAGE_SIZE = 100
# Statuses that do not change again, except `delivered` to `read` where recipients confirm reading.
FINAL_STATUSES = frozenset({"delivered", "undelivered", "failed", "read", "canceled"})

Record = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Credentials:
    """Credentials of one account: its auth token, or an API key of it, which is used if given.

    `account_sid` names the account in either case. A blank credential is empty.
    """

    account_sid: str
    auth_token: str = field(repr=False)
    api_key_sid: str
    api_key_secret: str = field(repr=False)

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> "Credentials":
        """Return the credentials in the settings of a destination."""
        return cls(*((settings.get(one.name) or "").strip() for one in fields(cls)))

    @property
    def by_key(self) -> bool:
        return bool(self.api_key_sid and self.api_key_secret)

    @property
    def names(self) -> str:
        """Names of the settings that are used, for a person."""
        if self.by_key:
            return "`account_sid`, `api_key_sid` and `api_key_secret`"
        return "`account_sid` and `auth_token`"

    @property
    def complete(self) -> bool:
        return bool(self.account_sid and (self.by_key or self.auth_token))


@dataclass(frozen=True, slots=True)
class Page:
    """Page of a list: its records, and the headers of the answer."""

    records: list[Record]
    headers: Mapping[str, str]


class TwilioApi:
    """Client for the API of one account, shared by many threads."""

    def __init__(self, settings: Mapping[str, Any], transport: Transport) -> None:
        self.credentials = Credentials.of(settings)
        # In the sandbox, an account without a SID has a dummy.
        self.sid = self.credentials.account_sid or "AC" + "0" * 32
        self._base_url = (settings.get("base_url") or API).rstrip("/")
        self._transport = transport
        self._library: TwilioLibrary | None = None
        self._making = Lock()

    @property
    def path(self) -> str:
        return f"/2010-04-01/Accounts/{self.sid}"

    @property
    def library(self) -> "TwilioLibrary":
        """Client of the official library, made (and the library imported) by the first request."""
        # One for all threads: an answer is kept by the client that made the request.
        with self._making:
            if self._library is None:
                self._library = self._made()
            return self._library

    def send(self, message: Mapping[str, Any]) -> Answer:
        """Send a message, given by the library's names of its fields, and return the answer."""
        create = partial(self.library.messages.create, **message)
        return self.library.exchange(create).answer

    def account(self) -> Answer:
        """Return the answer to a request for the account itself."""
        return self.library.exchange(self.library.account.fetch).answer

    def newest(self) -> Answer:
        """Return the answer to a request for the newest message."""
        newest = partial(self.library.messages.page, page_size=1)
        return self.library.exchange(newest).answer

    def _made(self) -> "TwilioLibrary":
        # Here, since processes that make no requests import this module too.
        from adapters.twilio.client import TwilioLibrary

        by_token = (self.sid, self.credentials.auth_token)
        by_key = (self.credentials.api_key_sid, self.credentials.api_key_secret)
        user, secret = by_key if self.credentials.by_key else by_token
        return TwilioLibrary(
            user, secret, self.sid, base_url=self._base_url, transport=self._transport
        )


def pages(account: TwilioApi, **query: Any) -> Iterator[Page]:
    """Yield the pages of the account's messages, newest first.

    `query` has the library's names: `to`, `from_`, `date_sent_after` (aware).

    Raises:
        AdapterError: a page could not be read; the message says what to correct.
    """
    path = f"{account.path}/Messages.json"
    return _pages(account, path, account.library.messages, "messages", **query)


def media_of(account: TwilioApi, message_sid: str) -> list[dict[str, str]]:
    """Return URL and content type of each file of a message; the files are not fetched.

    Raises:
        AdapterError: the list could not be read.
    """
    path = f"{account.path}/Messages/{message_sid}/Media.json"
    listing = account.library.messages(message_sid).media
    return [
        {
            "url": API + str(item.get("uri", "")).removesuffix(".json"),
            "content_type": str(item.get("content_type", "")),
        }
        for page in _pages(account, path, listing, "media_list")
        for item in page.records
    ]


def list_messages(
    since: datetime, transport: Transport, settings: Mapping[str, Any]
) -> Iterator[ListedRecord]:
    """Yield the webhook form of each message since `since`, newest first.

    Raises:
        AdapterError: there are no credentials, or a list could not be read.
    """
    account = TwilioApi(settings, transport)
    if not account.credentials.complete:
        raise AccountRefused("to list messages takes `account_sid`, and `auth_token` or an API key")
    for page in pages(account, date_sent_after=since.astimezone(UTC)):
        for record in page.records:
            if form := _as_webhook(account, record):
                body = urlencode(form).encode("ascii")
                yield ListedRecord(body, {"content-type": FORM})


def _pages(account: TwilioApi, path: str, listing: Any, name: str, **query: Any) -> Iterator[Page]:
    """Yield the pages of a list of the library; of its pages, only the requests are used."""
    asked: set[str] = set()
    ask = partial(listing.page, page_size=PAGE_SIZE, **query)
    while True:
        exchange = account.library.exchange(ask)
        asked.add(exchange.path)
        told = _told(account, exchange.answer)
        records = told.get(name)
        if not isinstance(records, list) or not all(isinstance(one, dict) for one in records):
            raise AdapterError(f"Twilio answered without a list `{name}`; is `base_url` its API?")
        yield Page(records, exchange.answer.headers)
        # The library would follow any address, and one that it was given before, for ever.
        following = _next(told, path, asked)
        if following is None:
            return
        ask = partial(listing.get_page, API + following)


def _next(told: Record, path: str, asked: set[str]) -> str | None:
    uri = told.get("next_page_uri")
    if not uri:
        return None
    if not isinstance(uri, str) or not uri.startswith(f"{path}?") or uri in asked:
        raise AdapterError("Twilio's list goes on at an address that cannot be right")
    return uri


def _told(account: TwilioApi, answer: Answer) -> Record:
    if answer.status in (401, 403):
        raise AccountRefused(
            f"Twilio answered {answer.status} to a list; check {account.credentials.names}"
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
