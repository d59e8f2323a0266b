"""Requests of the twilio adapter as they are on the wire, each recorded once.

After a change that is meant, `python -m tests.adapters.outbound.twilio_wire` records them anew.
"""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from adapters import Call, LookupVerdict, Verdict
from hub.gateways.http.transport import GuardedTransport
from tests.adapters.openapi import FIXTURES
from tests.adapters.outbound.conftest import NOW
from tests.adapters.outbound.twilio_calls import (
    ACCOUNT,
    ATTEMPT,
    KEY,
    MEDIA,
    MESSAGES,
    SENDER,
    SERVICE,
    SID,
    TAKEN,
    TEMPLATE,
    TEXT,
    TO,
    TOKEN,
    At,
    Said,
    listed,
    made,
    record,
    says,
)
from tests.adapters.twilio import made as source
from tests.gateways.servers import Far, http_server

RECORDED = FIXTURES.parent / "wire" / "twilio.json"
CALLBACK = "https://hub.example/webhooks/twilio"
SENT_AT = datetime(2026, 11, 20, 11, 58, 5, tzinfo=UTC)
WHATSAPP = f"whatsapp:{TO}"
TEMPLATED = {"to": WHATSAPP, "template": TEMPLATE, "variables": {"2": 5, "1": "Zoë"}}
SMS = {"to": TO, "body": TEXT}
PICTURE = record(direction="inbound", num_media="1", sid="MM" + "c" * 32)
# Settings beside the account's own, and parameters.
SENDS: Mapping[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "text": ({}, SMS),
    "any text": ({}, {"to": TO, "body": "é 😀\n&=+%"}),
    "media": ({}, {"to": TO, "media": MEDIA}),
    "text and media": ({}, {**SMS, "media": MEDIA[:1]}),
    "a service": ({"from": "", "messaging_service_sid": SERVICE}, SMS),
    "a number of a service": ({"messaging_service_sid": SERVICE}, SMS),
    "whatsapp": ({}, {"to": WHATSAPP, "body": TEXT}),
    "whatsapp from whatsapp": ({"from": f"whatsapp:{SENDER}"}, {"to": WHATSAPP, "body": TEXT}),
    "a template": ({}, TEMPLATED),
    "a callback": ({"callback_url": CALLBACK}, SMS),
    "a callback with a query": ({"callback_url": f"{CALLBACK}?t=1"}, SMS),
    "text by an API key": (KEY, SMS),
}
LOOK_UPS: Mapping[str, dict[str, Any]] = {
    "look-up": {},
    "look-up of a service": {"from": "", "messaging_service_sid": SERVICE},
    "look-up by an API key": KEY,
}
LISTS: Mapping[str, tuple[dict[str, Any], Said]] = {
    "list": ({}, listed(following=f"{MESSAGES}?PageSize=100&Page=1&PageToken=PASM1")),
    "list of pictures": ({}, listed(PICTURE)),
    "list by an API key": (KEY, listed()),
}
PROBES: Mapping[str, dict[str, Any]] = {"probe": {}, "probe of an API key": KEY}


def requests(far: Far, transport: GuardedTransport) -> Iterator[tuple[str, list[Any]]]:
    """Yield the name of each call and the requests that it makes."""
    for name, (settings, parameters) in SENDS.items():
        far.says(TAKEN)
        outcome = made(transport, far.url, **settings).perform(_call(parameters))
        assert (outcome.verdict, outcome.provider_ref) == (Verdict.SUCCEEDED, SID)
        yield name, _seen(far)
    for name, settings in LOOK_UPS.items():
        far.says(listed())
        found = made(At(transport), far.url, **settings).look_up(_call(SMS), SENT_AT)
        assert found.verdict is LookupVerdict.NOT_THERE
        yield name, _seen(far)
    for name, (settings, said) in LISTS.items():
        far.says(said, says(200, {"messages": [], "media_list": []}))
        account = {"account_sid": ACCOUNT, "auth_token": TOKEN, "base_url": far.url}
        list(source().list_since(SENT_AT, NOW, transport, account | settings))
        yield name, _seen(far)
    for name, settings in PROBES.items():
        far.says(says(200, {"sid": ACCOUNT, "messages": []}))
        assert made(transport, far.url, **settings).probe().ok
        yield name, _seen(far)


def _call(parameters: dict[str, Any]) -> Call:
    return Call("send", parameters, key="k", attempt_id=ATTEMPT, now=NOW)


def _seen(far: Far) -> list[Any]:
    return [
        {
            "method": seen.method,
            "path": seen.path,
            "headers": {
                name: value for name, value in sorted(seen.headers.items()) if name != "host"
            },
            "body": seen.body.decode("ascii"),
        }
        for seen in far.seen
    ]


if __name__ == "__main__":
    with http_server() as server:
        recorded = dict(requests(server, GuardedTransport(allow_private=True, timeout_s=15)))
    RECORDED.parent.mkdir(exist_ok=True)
    RECORDED.write_text(json.dumps(recorded, indent=1, ensure_ascii=False) + "\n", "utf-8")
