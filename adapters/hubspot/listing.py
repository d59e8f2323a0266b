"""Listing of contacts and deals created or changed while the hub was down, by HubSpot's search.

The pages go by id, not by time: each page requests ids above the last one's, so an object that
changes meanwhile is neither missed nor returned twice, and the limit of 10,000 results per search
does not matter.
https://developers.hubspot.com/docs/api-reference/search/guide
"""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from adapters.contract.answers import read_object, safe_words
from adapters.contract.errors import AccountRefused, NotSent, Unreadable
from adapters.contract.fields import utc_from_text
from adapters.contract.inbound import ListedRecord
from adapters.contract.outbound import Answer
from adapters.hubspot.answers import words_of
from adapters.hubspot.api import HubspotApi
from adapters.hubspot.events import OBJECTS

MODIFIED = {"contact": "lastmodifieddate", "deal": "hs_lastmodifieddate"}

_PAGE = 100
_LONGEST_ID = 19
_HEADERS = {"content-type": "application/json"}
_SOURCE, _SOURCE_ID = "hs_object_source", "hs_object_source_id"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def list_since(account: HubspotApi, since: datetime, now: datetime) -> Iterator[ListedRecord]:
    """Yield a webhook body for each contact and each deal created or changed since `since`.

    An object with invalid times becomes a body with its id alone, which `parse` refuses; the rest
    follow.

    Raises:
        AccountRefused: the account may not be read; the message says what it needs.
        NotSent: HubSpot did not answer, or answered with an error, such as a rate limit.
        Unreadable: the answer is not a list.
    """
    portal_id = _told(account.read("/account-info/v3/details", now), account).get("portalId")
    if type(portal_id) is not int:
        raise Unreadable("HubSpot does not say which account this is: portalId")
    for subject, kind in OBJECTS.items():
        last = 0
        while results := _page(account, kind, MODIFIED[subject], since, last, now):
            for one in results:
                yield _listed(subject, one, since, portal_id)
            previous, last = last, max(int(one["id"]) for one in results)
            if last <= previous:
                raise Unreadable(f"HubSpot's list of {kind} does not go on")


def _page(
    account: HubspotApi, kind: str, modified: str, since: datetime, last: int, now: datetime
) -> list[Mapping[str, Any]]:
    filters = [
        {"propertyName": modified, "operator": "GTE", "value": str(_ms(since))},
        {"propertyName": "hs_object_id", "operator": "GT", "value": str(last)},
    ]
    search = {
        "filterGroups": [{"filters": filters}],
        "sorts": ["hs_object_id"],
        "properties": [_SOURCE, _SOURCE_ID],
        "limit": _PAGE,
        "after": "0",
    }
    answer = account.read(f"/crm/v3/objects/{kind}/search", now, search)
    results = _told(answer, account).get("results")
    if not isinstance(results, list) or not all(_is_object(one) for one in results):
        raise Unreadable(f"HubSpot's list of {kind} cannot be read")
    return results


def _listed(
    subject: str, found: Mapping[str, Any], since: datetime, portal_id: int
) -> ListedRecord:
    try:
        created_at = utc_from_text(found.get("createdAt"), "createdAt")
        is_new = created_at >= since
        at = created_at if is_new else utc_from_text(found.get("updatedAt"), "updatedAt")
    except Unreadable:
        unread = json.dumps({"objectId": int(found["id"])}).encode("ascii")
        return ListedRecord(unread, _HEADERS, sure=False)
    native_type = f"{subject}.{'creation' if is_new else 'propertyChange'}"
    item = {
        "eventId": native_type,
        "subscriptionId": "listed",
        "portalId": portal_id,
        "occurredAt": _ms(at),
        "subscriptionType": native_type,
        "attemptNumber": 0,
        "objectId": int(found["id"]),
    }
    if is_new and found["properties"].get(_SOURCE):
        item["changeSource"] = found["properties"][_SOURCE]
        item["sourceId"] = str(found["properties"].get(_SOURCE_ID))
    return ListedRecord(json.dumps([item]).encode("ascii"), _HEADERS, sure=is_new)


def _told(answer: Answer, account: HubspotApi) -> dict[str, Any]:
    told = read_object(answer)
    said = f"HubSpot answered {answer.status} when asked for a list"
    words = safe_words(words_of(told or {}), account.hidden)
    if answer.status in (401, 403):
        raise AccountRefused(
            f"{said}: {words}. It needs the scopes crm.objects.contacts.read and "
            "crm.objects.deals.read"
        )
    if answer.status != 200:
        raise NotSent(f"{said}: {words}. List again later: what came already comes once")
    if told is None:
        raise Unreadable(f"{said}, but not with a list")
    return told


def _is_object(one: Any) -> bool:
    return (
        isinstance(one, dict)
        and str(one.get("id")).isdecimal()
        and str(one.get("id")).isascii()
        and len(str(one.get("id"))) <= _LONGEST_ID
        and isinstance(one.get("properties"), dict)
    )


def _ms(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(milliseconds=1)
