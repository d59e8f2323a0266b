"""HubSpot's own OpenAPI files, held against every call of the adapter.

The files have no licence, so they are no part of the project: they are read where they stand,
beside it, and without them there is nothing to hold the calls against.
"""

import json
from collections.abc import Callable, Iterable
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from adapters import Call
from adapters.hubspot.inbound import HubspotInbound, HubspotInboundSettings
from adapters.hubspot.outbound import HubspotOutbound
from hub.gateways.http.transport import GuardedTransport
from tests.adapters.openapi import Specification
from tests.adapters.outbound.conftest import NOW
from tests.adapters.outbound.crm import Crm, said
from tests.far_end import FarEnd, Received, Reply

FILES = Path(__file__).parents[3].parent / "shared/specs/hubspot"
OF_PATH = {
    "/oauth/": "oauth_v3.json",
    "/crm/v4/": "associations_v4.json",
    "/objects/contacts": "contacts_v3.json",
    "/objects/0-3": "deals_v3.json",
    "/objects/notes": "notes_v3.json",
}
WITHOUT_FILE = ("/account-info/", "/communication-preferences/")
EMAIL = "jane@example.org"
DEAL = {
    "name": "Roof",
    "amount": 125050,
    "currency": "USD",
    "stage": "closedwon",
    "pipeline": "default",
    "close_date": "2026-12-01",
    "properties": {"source_page": "/roofs", "visits": 3},
}

pytestmark = [
    pytest.mark.skipif(
        not FILES.is_dir(),
        reason="HubSpot's OpenAPI files, which have no licence to be kept here, are not beside "
        "the project: its calls were not held against them",
    ),
    pytest.mark.filterwarnings("ignore:Unsupported scheme type"),
]

Calls = Callable[..., Call]


@cache
def specification(name: str) -> Specification:
    return Specification(FILES / name)


def check(received: Iterable[Received]) -> list[str]:
    """Accept calls that fit their files; return what they were."""
    made = []
    for one in received:
        path = one.path.replace("/objects/deals", "/objects/0-3")  # two names of one
        made.append(f"{one.method} {path.partition('?')[0]}")
        if path.startswith(WITHOUT_FILE):
            continue
        name = next(name for part, name in OF_PATH.items() if part in path)
        specification(name).check(
            one.method, f"https://api.hubapi.com{path}", one.headers, one.body
        )
    return made


def performed(crm: Crm, transport: Any, *calls: Call, **settings: str) -> list[str]:
    def behave(received: Received) -> Reply:
        if received.path == "/oauth/v3/token":
            return said(200, {"access_token": "token-1", "expires_in": 1800})
        return crm.behave(received)

    with FarEnd(behave) as far:
        one = HubspotOutbound({"token": "t", **settings, "base_url": far.url}, transport)
        for call in calls:
            one.perform(call)
            one.look_up(call, NOW)
        return check(far.received)


def test_the_calls_for_deals_fit(transport: GuardedTransport, call: Calls) -> None:
    crm = Crm()
    contact = crm.add("contacts", email=EMAIL)
    deal = crm.add("deals", dealname="Wall")
    made = performed(
        crm,
        transport,
        call("create_deal", DEAL | {"contact": EMAIL}),
        call("create_deal", {"name": "Wall"}, "d2"),
        call("update_deal", DEAL | {"deal": deal}),
        call("fetch", {"object": "deals", "id": deal}),
    )
    assert crm.links == [("deals", str(int(deal) + 1), contact)]
    assert made.count("POST /crm/v3/objects/0-3") == 2
    assert f"PATCH /crm/v3/objects/0-3/{deal}" in made


def test_the_calls_for_notes_fit(transport: GuardedTransport, call: Calls) -> None:
    crm = Crm(page=1)
    contact, deal = crm.add("contacts", email=EMAIL), crm.add("deals")
    for _ in range(2):
        crm.links.append(("notes", crm.add("notes", hs_note_body="x"), contact))
    made = performed(
        crm,
        transport,
        call("add_note", {"text": "Called back", "contact": EMAIL}),
        call("add_note", {"text": "Called back", "deal": deal}),
    )
    assert made.count("POST /crm/v3/objects/notes") == 2
    assert made.count(f"GET /crm/v4/objects/contacts/{contact}/associations/notes") == 3
    assert made.count("POST /crm/v3/objects/notes/batch/read") == 4


def test_the_calls_for_contacts_and_tokens_fit(transport: GuardedTransport, call: Calls) -> None:
    crm = Crm()
    contact = crm.add("contacts", email=EMAIL)
    made = performed(
        crm,
        transport,
        call("upsert_contact", {"email": EMAIL, "properties": {"firstname": "Jane", "n": 3}}),
        call("fetch", {"object": "contacts", "id": contact}),
        token="",
        client_id="a",
        client_secret="b",
        refresh_token="c",
    )
    assert made[0] == "POST /oauth/v3/token"
    assert len(made) == 3


def test_a_contact_that_is_created_fits_but_for_what_the_guide_leaves_out_too(
    transport: GuardedTransport, call: Calls
) -> None:
    crm = Crm()
    with FarEnd(crm.behave) as far:
        one = HubspotOutbound({"token": "t", "base_url": far.url}, transport)
        one.perform(call("upsert_contact", {"email": EMAIL}))
        created = far.received[-1]
    url = f"https://api.hubapi.com{created.path}"
    whole = json.dumps(created.json | {"associations": []}).encode()
    specification("contacts_v3.json").check("POST", url, created.headers, whole)
    assert crm.objects["contacts"]


def test_the_calls_of_a_listing_fit(transport: GuardedTransport) -> None:
    crm = Crm()
    inbound = HubspotInbound(HubspotInboundSettings().load({"secrets": ["s"]}))
    for kind in ("contacts", "deals"):
        object_id = crm.add(kind)
        crm.objects[kind][object_id]["modified_ms"] = str(int(NOW.timestamp() * 1000))
    with FarEnd(crm.behave) as far:
        account = {"token": "t", "base_url": far.url}
        assert list(inbound.list_since(NOW - timedelta(days=1), NOW, transport, account))
        made = check(far.received)
    assert made.count("POST /crm/v3/objects/contacts/search") == 2
    assert made.count("POST /crm/v3/objects/0-3/search") == 2


def test_the_files_refuse_what_does_not_fit() -> None:
    headers = {"content-type": "application/json", "authorization": "Bearer t"}
    url = "https://api.hubapi.com/crm/v3/objects/notes"
    for body in ({}, {"properties": {"a": 1}, "associations": []}, {"properties": {}}):
        with pytest.raises(AssertionError):
            specification("notes_v3.json").check("POST", url, headers, json.dumps(body).encode())
