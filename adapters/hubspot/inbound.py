"""HubSpot's webhooks: contacts and deals that were created, changed or deleted.

**Docs**: https://developers.hubspot.com/docs/api-reference/webhooks-webhooks-v3/guide ·
https://developers.hubspot.com/docs/apps/legacy-apps/authentication/validating-requests

**Signs**: `X-HubSpot-Signature-v3`, HMAC-SHA256 in base64 over method, URL (twelve escapes decoded:
see `signature.decoded`), body and the milliseconds of `X-HubSpot-Request-Timestamp`, keyed with the
app's client secret; accepted up to 5 min old and 60 s ahead. Older apps send
`X-HubSpot-Signature`, a plain SHA-256 with neither timestamp nor (v1) URL, which can be replayed
forever: only `signatures: [v3, v1]` accepts it. Often both are sent; then v3 counts.

**Re-sends**: after every response other than a 2xx and after 5 s without one, up to 10 times within
24 h, with a higher `attemptNumber`.

**Answers**: any 2xx; the body is not read.

**Quirks**: A request is an array of up to 100 items, from several accounts if several have
installed the app. Each item is one event; one that cannot be read becomes `hubspot.unreadable` and
does not affect the others. `eventId` is not unique, so the id is composed of account, subscription,
event, object, property and time. Newer apps send `object.creation` with an `objectTypeId`. A fact
that two subscriptions report has one fact key: the change and its time, for a creation the object
alone. The two kinds of deletion share a fact key if they have the same millisecond. An item has
neither e-mail address nor name: the object is fetched, in its state at that time and not at the
time of the event; a merged contact is found under its new id. `app_id` is the app that the hub
writes with: an item that it caused is an echo. Without `app_id`, the hub's own writes come back as
changes. Items of an account that is not in `portals` keep their native type.

The listing contains contacts and deals that still exist, once each: as created if they were created
since the given time, else as changed, without the property. Their ids differ from a webhook's. A
creation that both a webhook and the listing report has one fact key, so it counts once; a change
that both report becomes two events, since a list cannot say which property changed, nor who changed
it (for a creation it can). Therefore the clock does not import changes; only a person can. A second
listing makes no second event of an object that did not change in between.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from marshmallow import fields, validate

from adapters.contract.errors import AccountRefused, Unreadable
from adapters.contract.event import Event
from adapters.contract.inbound import Inbound, ListedRecord, Sample
from adapters.contract.outbound import Transport
from adapters.contract.request import InboundRequest
from adapters.contract.sample_files import SampleFiles
from adapters.contract.signatures.hmac import SecretsSchema
from adapters.contract.strict_json import read_json
from adapters.hubspot import listing
from adapters.hubspot import signature as signatures
from adapters.hubspot.api import HubspotApi
from adapters.hubspot.events import IGNORED_TYPES, NATIVE_TYPES, EchoFilter, read_item
from adapters.hubspot.objects import READERS

SAMPLES = SampleFiles(
    "adapters.hubspot",
    (
        "contact.creation",
        "contact.propertyChange",
        "contact.deletion",
        "deal.creation",
        "deal.propertyChange",
        "company.creation",
    ),
    derived=r'(?<="eventId":)[0-9]+|(?<="objectId":)[0-9]+',
)


class _Number(fields.Integer):
    """Integer field; an empty text, as an unset variable leaves it, loads as None."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        return None if value == "" else super()._deserialize(value, *args, **kwargs)


class HubspotInboundSettings(SecretsSchema):
    """Settings. `secrets`: client secrets of the app. `app_id`: the app that the hub writes with.

    `portals`: the accounts whose items get canonical types, all if it is empty. `signatures`: the
    accepted versions, v3 alone if it is not given: the older ones have no time.
    """

    app_id = _Number(load_default=None, allow_none=True)
    portals = fields.List(fields.Integer(), load_default=list)
    signatures = fields.List(
        fields.String(validate=validate.OneOf(signatures.VERSIONS)),
        load_default=lambda: ["v3"],
        validate=validate.Length(min=1),
    )


class HubspotInbound(Inbound):
    """Webhooks of one HubSpot app."""

    name = "hubspot"
    settings_schema = HubspotInboundSettings
    native_types = NATIVE_TYPES
    ignored_types = IGNORED_TYPES
    account = "hubspot"
    lists = True
    setup = (
        "In HubSpot open Development, choose the app that may read contacts and deals, and "
        "its Webhooks.",
        "Paste the address above as target URL, without anything after it.",
        "Subscribe to contact and deal: created, deleted, and the properties whose changes "
        "you want.",
        "Copy the app's client secret (Auth) into `secrets` of this source, and restart the "
        "hub. `app_id` keeps the hub's own writes from coming back.",
    )

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._secrets = tuple(settings["secrets"])
        self._versions = tuple(settings["signatures"])
        self._ours = EchoFilter(settings["app_id"], frozenset(settings["portals"]))

    def verify(self, request: InboundRequest) -> str:
        """Return the label of the secret that signed the request."""
        return signatures.verify(self._secrets, request, self._versions)

    def parse(self, request: InboundRequest) -> Sequence[Event]:
        """Return one event for each item of the array."""
        items = read_json(request.body)
        if not isinstance(items, list):
            raise Unreadable(f"HubSpot sends an array of items, not {type(items).__name__}")
        if not items:
            raise Unreadable("the array has no items")
        return [read_item(item, request.received_at, self._ours) for item in items]

    def complete(self, event: Event, found: Mapping[str, Any]) -> Event:
        """Return the event with the fetched contact or deal; if it is gone, with its id alone."""
        asked = event.fetch or {}
        done = replace(event, incomplete=False, fetch=None)
        if found.get("gone") is True:
            kept = ("object_id", "native")
            return replace(done, data={k: v for k, v in event.data.items() if k in kept})
        properties, object_id = found.get("properties"), found.get("id")
        if asked.get("object") not in READERS or not isinstance(properties, Mapping):
            raise Unreadable("what was found has no properties of a contact or deal")
        if not isinstance(object_id, str) or not object_id.isdecimal():
            raise Unreadable("what was found has no id")
        read = READERS[asked["object"]](properties)
        native = {**event.data.get("native", {}), "properties": dict(properties)}
        return replace(done, data={**event.data, **read, "object_id": object_id, "native": native})

    def list_since(
        self, since: datetime, now: datetime, transport: Transport, account: Mapping[str, Any]
    ) -> Iterator[ListedRecord]:
        """Yield contacts, then deals, created or changed since `since`, in the order of ids."""
        if not account:
            raise AccountRefused("listing needs a destination with `adapter: hubspot`")
        return listing.list_since(HubspotApi(account, transport), since, now)

    def sample(
        self, native_type: str, external_id: str, now: datetime, *, live: bool, url: str
    ) -> Sample:
        """Return a signed webhook of that type; HubSpot has no test mode."""
        body = SAMPLES.body(native_type, external_id, now)
        timestamp_ms = int(now.timestamp()) * 1000
        signature = signatures.sign_v3(self._secrets[0], "POST", url, body, timestamp_ms)
        headers = {
            "content-type": "application/json",
            "user-agent": "HubSpot Connect 2.0 (http://dev.hubspot.com/)",
            "x-hubspot-request-timestamp": str(timestamp_ms),
            "x-hubspot-signature-v3": signature,
        }
        return Sample(body, headers)

    def sample_types(self) -> Sequence[str]:
        """Return the native types that `sample` knows."""
        return SAMPLES.types
