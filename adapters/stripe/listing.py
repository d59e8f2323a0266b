"""Event retrieval: fetching the data of thin events, and listing events of the last 30 days.

**Docs**: https://docs.stripe.com/api/v2/core/events/retrieve ·
https://docs.stripe.com/api/events/list · https://docs.stripe.com/context
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from marshmallow import Schema, fields, validate

from adapters.contract.errors import AdapterError
from adapters.contract.inbound import ListedRecord
from adapters.contract.outbound import Call, Outcome, Transport, Verdict
from adapters.stripe.api import Api, Listing, Native, StripeAccount, Unfinished

KEPT = timedelta(days=30)
# Events a page, Stripe's own limit. An event may have some 50 KB: the transport must take 5 MB.
PAGE = 100

EVENT_ID = re.compile(r"[A-Za-z0-9_]{1,255}")
CONTEXT = re.compile(r"[A-Za-z0-9_/.-]{1,255}")
_OBJECT_PATH = re.compile(r"/v[12](?:/[A-Za-z0-9_-]{1,255}){1,8}")


class Fetch(Schema):
    """Parameters of `fetch`: a thin event's id, and the `Stripe-Context` to fetch it in."""

    event_id = fields.String(required=True, validate=validate.Regexp(EVENT_ID.pattern + r"\Z"))
    context = fields.String(validate=validate.Regexp(CONTEXT.pattern + r"\Z"))


def fetch(api: Api, _call: Call, parameters: Mapping[str, Any]) -> Outcome:
    """Fetch an event and its related object, as `found["event"]` and `found["object"]`.

    The object is in its current state. It is None if Stripe no longer has it (404), or if the
    event has no valid `related_object.url`.
    """
    if "context" in parameters:
        api = api.acting(parameters["context"])
    event = api.read_path(f"/v2/core/events/{parameters['event_id']}")
    related = event.get("related_object")
    path = related.get("url") if isinstance(related, dict) else None
    found = {"event": event, "object": _object(api, path)}
    return Outcome(Verdict.SUCCEEDED, status=200, provider_ref=parameters["event_id"], found=found)


def list_since(
    since: datetime, now: datetime, transport: Transport, settings: Mapping[str, Any]
) -> Iterator[ListedRecord]:
    """Yield the account's events since `since`, oldest first.

    Stripe lists the newest first. A first pass back to `since` notes every `PAGE`th id; then what
    follows each is requested again, the oldest first. Only the newest page is kept from the first
    pass; of the others, one is held at a time.

    Raises:
        AdapterError: no destination has an `api_key`, `since` is more than 30 days ago, or a page
            could not be read.
    """
    account = StripeAccount.of(settings)
    if not account.api_key:
        raise AdapterError(
            "there is no destination with `adapter: stripe` and an `api_key` to list events with"
        )
    if now - since > KEPT:
        raise AdapterError(
            f"Stripe keeps events for {KEPT.days} days: ask for those since "
            f"{now - KEPT:%Y-%m-%d %H:%M} UTC; what is older is in Stripe's own reports"
        )
    api = Api(account, transport, now)
    created = {"created": {"gte": int(since.timestamp())}}
    listing = Listing(lambda v1: v1.events.list, created, PAGE)
    newest: list[Native] = []
    cursors: list[str] = []
    last_id = ""
    for count, event in enumerate(api.objects(listing)):
        if count and count % PAGE == 0:
            cursors.append(last_id)
        if not cursors:
            newest.append(event)
        last_id = event["id"]
    for cursor in reversed(cursors):
        yield from _listed(islice(api.objects(replace(listing, after=cursor)), PAGE))
    # The newest page is reused: requested again, it would begin with events created since.
    yield from _listed(newest)


def _listed(page: Iterable[Native]) -> Iterator[ListedRecord]:
    for event in reversed(list(page)):
        yield ListedRecord(json.dumps(event, indent=2).encode("ascii"))


def _object(api: Api, path: Any) -> Native | None:
    if not isinstance(path, str) or not _OBJECT_PATH.fullmatch(path):
        return None
    try:
        return api.read_path(path)
    except Unfinished as stop:
        if stop.outcome.status == 404:
            return None
        raise
