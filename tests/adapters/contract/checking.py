"""Checks that hold of every event, whatever it was made of."""

import json
from datetime import timedelta
from typing import Any

from adapters.contract.errors import AdapterError, NotVerified
from adapters.contract.event import COMMON_FIELDS, EVENT_TYPES, FAMILIES, Event
from adapters.contract.fields import rfc3339
from adapters.contract.inbound import Inbound
from adapters.contract.strict_json import storable
from tests.adapters.contract.recorded import Fixture
from tests.adapters.contract.strange import is_text

UNSAFE_IN_NAMES = set("/\\\x00\r\n")


def as_expected(event: Event) -> dict[str, Any]:
    """Return the event as `<name>.expected.json` says it."""
    attachments = [
        {"name": one.name, "content_type": one.content_type, "size": len(one.content)}
        for one in event.attachments
    ]
    seldom = {"fetch": event.fetch, "echo": event.echo, "attachments": attachments}
    return {
        "type": event.type,
        "native_type": event.native_type,
        "external_id": event.external_id,
        "occurred_at": rfc3339(event.occurred_at),
        "live": event.live,
        "incomplete": event.incomplete,
        "fact_key": event.fact_key,
        "data": {name: value for name, value in event.data.items() if name != "native"},
    } | {name: value for name, value in seldom.items() if value}


def events_or_adapter_error(fixture: Fixture, adapter: Inbound, body: bytes) -> None:
    """Accept that good events, or an AdapterError, come of a body that is rightly signed."""
    request = fixture.signed(body)
    try:
        adapter.verify(request)
    except NotVerified:
        # What a form without text in it says is for each provider to decide, before signing too.
        assert not is_text(fixture.kind, body)
    try:
        events = adapter.parse(request)
    except AdapterError:
        return
    assert events
    for event in events:
        check_event(fixture.provider, event)


def check_event(provider: str, event: Event) -> None:
    assert event.type in EVENT_TYPES or event.type == f"{provider}.{event.native_type}"
    assert event.occurred_at.utcoffset() == timedelta(0)
    assert 1 <= len(event.external_id) <= 255
    assert event.external_id.isascii()
    assert event.external_id.isprintable()
    assert event.fact_key is None or 1 <= len(event.fact_key) <= 255
    assert isinstance(event.live, bool)
    assert event.fingerprint
    assert event.fetch is None or event.incomplete
    if event.type in EVENT_TYPES:
        family = FAMILIES[event.type.partition(".")[0]]
        assert event.data.keys() <= family.keys() | COMMON_FIELDS.keys()
    check_money(event)
    check_attachments(event)
    check_storable(event.data)
    check_storable(event.fetch or {})


def check_money(event: Event) -> None:
    assert None not in event.data.values()
    if "amount" in event.data:
        assert type(event.data["amount"]) is int
        assert event.data["amount"] >= 0
        assert len(event.data["currency"]) == 3


def check_attachments(event: Event) -> None:
    for attachment in event.attachments:
        assert isinstance(attachment.content, bytes)
        assert attachment.name
        assert attachment.name not in (".", "..")
        assert not set(attachment.name) & UNSAFE_IN_NAMES
    if event.attachments:
        assert len(event.data["attachments"]) == len(event.attachments)


def check_storable(values: Any) -> None:
    data, _reason = storable(values)
    text = json.dumps(data, allow_nan=False, ensure_ascii=False)
    assert "\\u0000" not in text.replace("\\\\", "")
    text.encode("utf-8")
