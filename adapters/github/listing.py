"""Webhook deliveries of a hook from GitHub's API, converted back to the webhooks that were sent.

A page lists the deliveries, newest first; the payload of each is fetched one by one.
https://docs.github.com/en/rest/repos/webhooks#list-deliveries-for-a-repository-webhook
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from typing import Any

from adapters.contract.answers import read
from adapters.contract.errors import AccountRefused, NotSent, Unreadable
from adapters.contract.fields import utc_from_text
from adapters.contract.inbound import ListedRecord
from adapters.contract.outbound import Answer, Transport
from adapters.contract.strict_json import read_json

MOST_PAGES = 1000
PER_PAGE = 100

_LINK = re.compile(r"<([^<>]+)>((?:\s*;\s*[^,;]+)*)")
_NEXT = re.compile(r';\s*rel="?next"?\s*(?:;|$)')
_VERSION = "2022-11-28"
_KEPT_HEADERS = ("x-github-event", "x-github-delivery")


@dataclass(frozen=True, slots=True)
class _Delivery:
    id: int
    guid: str
    delivered_at: datetime


def list_deliveries(
    settings: Mapping[str, Any], since: datetime, transport: Transport
) -> Iterator[ListedRecord]:
    """Yield one record per event that GitHub delivered or tried to since `since`, oldest first.

    Raises:
        AccountRefused: the settings give no access to the list.
        NotSent: GitHub gave no response, or cannot serve the list now.
        Unreadable: the list is not as GitHub documents it.
    """
    token, hook = settings.get("api_token"), settings.get("hook")
    if not token or not hook:
        raise AccountRefused("set `api_token` and `hook` to list what GitHub has sent")
    owner, repository, number = hook.split("/")
    base_url = settings["base_url"].rstrip("/")
    api = _Api(transport, base_url, token)
    address = f"{base_url}/repos/{owner}/{repository}/hooks/{number}/deliveries"
    first = {one.guid: one for one in _newest_first(api, address, since)}
    for delivery in sorted(first.values(), key=lambda one: (one.delivered_at, one.id)):
        yield _listed(api.get(f"{address}/{delivery.id}")[0], delivery)


@dataclass(frozen=True, slots=True)
class _Api:
    transport: Transport
    base_url: str
    token: str

    def get(self, url: str) -> tuple[Any, Answer]:
        headers = {
            "accept": "application/vnd.github+json",
            "authorization": f"Bearer {self.token}",
            "user-agent": "hub",
            "x-github-api-version": _VERSION,
        }
        answer = read(self.transport, url, headers=headers)
        said = f"GitHub answered {answer.status} to the list of deliveries"
        if answer.status == 401:
            raise AccountRefused(f"{said}: it does not know `api_token`; make a new one")
        if answer.status in (403, 404) and not _is_throttled(answer):
            raise AccountRefused(
                f"{said}: is `hook` right, and may `api_token` read the repository's webhooks?"
            )
        if answer.status != 200:
            raise NotSent(f"{said}; try again later")
        return read_json(answer.body), answer


def _is_throttled(answer: Answer) -> bool:
    return answer.headers.get("x-ratelimit-remaining") == "0" or "retry-after" in answer.headers


def _newest_first(api: _Api, address: str, since: datetime) -> Iterator[_Delivery]:
    url: str | None = f"{address}?per_page={PER_PAGE}"
    for _ in range(MOST_PAGES):
        rows, answer = api.get(url or "")
        if not isinstance(rows, list):
            raise Unreadable("the list of deliveries is no list")
        for row in rows:
            delivery = _delivery(row)
            if delivery.delivered_at < since:
                return
            yield delivery
        url = _next_page(answer, api.base_url)
        if url is None:
            return
    raise Unreadable(f"the list of deliveries has more than {MOST_PAGES} pages")


def _delivery(row: Any) -> _Delivery:
    number, guid = (row.get("id"), row.get("guid")) if isinstance(row, dict) else (None, None)
    if type(number) is not int or not isinstance(guid, str):
        raise Unreadable("a delivery in the list has no id and guid")
    return _Delivery(number, guid, utc_from_text(row.get("delivered_at"), "delivered_at"))


def _next_page(answer: Answer, base_url: str) -> str | None:
    for url, parameters in _LINK.findall(answer.headers.get("link", "")):
        if _NEXT.search(parameters):
            if not url.startswith(f"{base_url}/"):
                raise Unreadable("the next page is not under `base_url`; the token stays here")
            return str(url)
    return None


def _listed(detail: Any, delivery: _Delivery) -> ListedRecord:
    sent = detail.get("request") if isinstance(detail, dict) else None
    payload = sent.get("payload") if isinstance(sent, dict) else None
    given = sent.get("headers") if isinstance(sent, dict) else None
    if not isinstance(payload, dict) or not isinstance(given, dict):
        raise Unreadable(f"delivery {delivery.id} does not say what was sent")
    headers = {
        name.lower(): value
        for name, value in given.items()
        if name.lower() in _KEPT_HEADERS and isinstance(value, str)
    }
    headers |= {
        "content-type": "application/json",
        "date": format_datetime(delivery.delivered_at, usegmt=True),
    }
    return ListedRecord(json.dumps(payload).encode("ascii"), headers)
