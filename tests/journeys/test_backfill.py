"""Enrichment and backfill with real processes: incomplete events fetched, missing ones found."""

import base64
import hashlib
import hmac
import json
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from sqlalchemy import select, update

from hub.core.models import SourceState
from tests.far_end import FarEnd, Received, Reply
from tests.running import RunningHub, stripe_event, until
from tests.stripe_far_end import KEY, StripeFarEnd, stripe_far_end

HUBSPOT_SECRET = "the-client-secret-of-these-tests"
HUBSPOT_TOKEN = "pat-na1-for-these-tests"
HOUR_S = 3600
PAYMENTS = f"""
sources:
  stripe: {{adapter: stripe, secrets: ["${{STRIPE_WEBHOOK_SECRET}}"]}}
destinations:
  pay: {{adapter: stripe, api_key: {KEY}, base_url: "${{STRIPE}}"}}
  ops: {{adapter: http, url: "${{FAR_END}}/hook", secret: "${{OPS_SECRET}}"}}
routes:
  all-to-ops:
    on: "*"
    do: ops.post
    with: {{body: {{event: "{{{{ event.external_id }}}}", email: "{{{{ data.email }}}}"}}}}
"""
CONTACTS = f"""
sources:
  hubspot: {{adapter: hubspot, secrets: [{HUBSPOT_SECRET}]}}
destinations:
  crm: {{adapter: hubspot, token: {HUBSPOT_TOKEN}, base_url: "${{FAR_END}}"}}
routes:
  welcome:
    on: contact.created
    when: data.email
    do: crm.upsert_contact
    with: {{email: "{{{{ data.email }}}}", properties: {{lifecyclestage: lead}}}}
"""


@contextmanager
def running(
    folder: Path, database_url: str, redis_url: str, config: str, **environ: str
) -> Iterator[RunningHub]:
    with RunningHub(
        folder, database_url=database_url, redis_url=redis_url, config=config, environ=environ
    ) as hub:
        yield hub


@pytest.fixture
def far_end() -> Iterator[FarEnd]:
    with FarEnd() as far_end:
        yield far_end


@pytest.fixture
def stripe() -> Iterator[StripeFarEnd]:
    with stripe_far_end() as stripe:
        yield stripe


def keep(stripe: StripeFarEnd, event_id: str, *, ago_s: float) -> dict[str, Any]:
    """Add an event to Stripe's list, and return it."""
    event: dict[str, Any] = json.loads(stripe_event(event_id))
    event["created"] = int(time.time() - ago_s)
    stripe.objects["events"].append(event)
    return event


def posted(far_end: FarEnd) -> Counter[str]:
    return Counter(one.json["event"] for one in list(far_end.received))


def events_of(hub: RunningHub) -> dict[str, dict[str, Any]]:
    return {event["external_id"]: event for event in hub.cli("events")}


def test_a_backfill_takes_in_exactly_what_never_arrived(
    tmp_path, database_url, redis_url, far_end, stripe
) -> None:
    kept = [keep(stripe, f"evt_{n}", ago_s=(20 - n) * HOUR_S / 2) for n in range(20)]
    twin = kept[5] | {"id": "evt_twin"}
    environ = {"FAR_END": far_end.url, "STRIPE": stripe.url}
    with running(tmp_path, database_url, redis_url, PAYMENTS, **environ) as hub:
        hub.start("web")
        for event in (*kept[:4], kept[12], twin):
            assert hub.post(json.dumps(event, indent=4).encode()) == 200
        hub.signal("web", signal.SIGTERM)
        hub.processes.pop("web").wait(30)
        gap = hub.cli("backfill", "stripe", "--since", "1d")
        assert gap == {"source": "stripe", "listed": 20, "known": 6, "new": 14, "unreadable": 0}
        hub.start("worker", "clock")
        until(lambda: len(hub.deliveries(state="succeeded")) == 20, 60, "20 deliveries")
        events = events_of(hub)
        came = {"evt_0", "evt_1", "evt_2", "evt_3", "evt_12", "evt_twin"}
        assert events.keys() == ({event["id"] for event in kept} - {"evt_5"}) | {"evt_twin"}
        assert {name for name, event in events.items() if not event["backfilled"]} == came
        again = hub.cli("backfill", "stripe", "--since", "1d")
        assert again == {"source": "stripe", "listed": 20, "known": 20, "new": 0, "unreadable": 0}
        assert {event["duplicates"] for event in events_of(hub).values()} == {0}
        assert len(hub.cli("requests")) == 20
        assert len(hub.deliveries()) == 20
    assert posted(far_end) == dict.fromkeys(events, 1)
    assert KEY not in hub.logs()


def test_a_list_that_cannot_be_read_is_one_sentence_and_what_came_before_it_stays(
    tmp_path, sqlite_url, redis_url, far_end, stripe
) -> None:
    for n in range(245):
        keep(stripe, f"evt_{n}", ago_s=(245 - n) * 60 + 600)
    asked: list[Received] = []

    def breaks_off(received: Received) -> None:
        asked.append(received)
        if len(asked) == 4:  # three pages on the way back, one on the way here
            stripe.silent.add("/v1/events")

    stripe.told = breaks_off
    environ = {"FAR_END": far_end.url, "STRIPE": stripe.url}
    with running(tmp_path, sqlite_url, redis_url, PAYMENTS, **environ) as hub:
        hub.start("web")
        failed = hub.run("backfill", "stripe", "--since", "1d")
        assert failed.returncode == 1
        assert "the list could not be read to its end" in failed.stderr
        assert KEY not in failed.stderr
        before = len(hub.cli("events", "--limit", "1000"))
        assert 0 < before < 245
        stripe.silent.clear()
        assert hub.cli("backfill", "stripe", "--since", "1d")["new"] == 245 - before
        assert hub.cli("backfill", "stripe", "--since", "1d")["known"] == 245


def test_why_a_source_cannot_be_backfilled_is_said(
    tmp_path, sqlite_url, redis_url, far_end, stripe
) -> None:
    environ = {"FAR_END": far_end.url, "STRIPE": stripe.url}
    config = PAYMENTS.replace(KEY, "''")
    with running(tmp_path, sqlite_url, redis_url, config, **environ) as hub:
        for source, words in (("stripe", "give it its credentials"), ("nobody", "no source")):
            refused = hub.run("backfill", source, "--since", "3d")
            assert refused.returncode == 1
            assert words in refused.stderr
        for since in ("3", "-3d", "401d", "soon"):
            assert hub.run("backfill", "stripe", "--since", since).returncode == 2
    assert stripe.received == []


def looked_at(hub: RunningHub, source: str) -> datetime | None:
    with hub._database.read() as connection:
        statement = select(SourceState.listing_at).where(SourceState.source == source)
        return connection.scalar(statement)


def down_since(hub: RunningHub, source: str, at: datetime) -> None:
    """Set the time of the last look at the list."""
    with hub._database.write() as connection:
        connection.execute(
            update(SourceState)
            .where(SourceState.source == source)
            .values(listed_until=at, listing_at=at)
        )


def test_a_worker_looks_by_itself_when_none_was_up(
    tmp_path, database_url, redis_url, far_end, stripe
) -> None:
    for n, ago_s in enumerate((10 * HOUR_S, 30 * 60)):
        keep(stripe, f"evt_before_the_hub_{n}", ago_s=ago_s)
    environ = {"FAR_END": far_end.url, "STRIPE": stripe.url}
    with running(tmp_path, database_url, redis_url, PAYMENTS, **environ) as hub:
        hub.start("web", "worker", "clock")
        until(lambda: looked_at(hub, "stripe"), 30, "the first look")
        until(lambda: stripe.received, 30, "the list to be asked for")
        hub.kill("worker")
        assert events_of(hub) == {}, "what was before the hub is not its gap"
        down_since(hub, "stripe", datetime.now(UTC) - timedelta(hours=5))
        stripe.objects["events"].clear()
        keep(stripe, "evt_older", ago_s=10 * HOUR_S)
        arrived = keep(stripe, "evt_arrived", ago_s=5 * HOUR_S)
        missed = {f"evt_{n}" for n in range(20)}
        for n in range(20):
            keep(stripe, f"evt_{n}", ago_s=5 * HOUR_S - n * 600)
        keep(stripe, "evt_on_its_way", ago_s=1)
        assert hub.post(json.dumps(arrived).encode()) == 200
        hub.start("worker", "worker-2")
        until(lambda: posted(far_end).keys() >= missed, 60, "what was missed")
        until(lambda: "20 events had never arrived" in hub.logs(), 30, "a worker to say so")
        events = events_of(hub)
        assert events.keys() == missed | {"evt_arrived"}
        assert {name for name, event in events.items() if event["backfilled"]} == missed
        assert {event["duplicates"] for event in events.values()} == {0}
        until(lambda: len(hub.deliveries(state="succeeded")) == 21, 30, "all deliveries")
    assert posted(far_end) == dict.fromkeys(missed | {"evt_arrived"}, 1)
    assert "Traceback" not in hub.logs()


class Hubspot:
    """HubSpot account with one contact; `answers` are used up first when it is read."""

    def __init__(self) -> None:
        self.answers: list[Reply] = []
        self.found = Reply(200, json.dumps({
            "id": "501", "properties": {"email": "Jane@Example.com", "firstname": "Jane"},
        }).encode())  # fmt: skip
        self.reads: list[Received] = []
        self.upserts: list[Received] = []
        self.listed: list[dict[str, Any]] = []

    def behave(self, received: Received) -> Reply:
        assert received.headers["authorization"] == f"Bearer {HUBSPOT_TOKEN}"
        path = urlsplit(received.path).path
        if path == "/account-info/v3/details":
            return Reply(200, b'{"portalId": 62515}')
        if path.endswith("/search"):
            last = int(received.json["filterGroups"][0]["filters"][1]["value"])
            found = [one for one in self.listed if int(one["id"]) > last and "contacts" in path]
            return Reply(200, json.dumps({"results": found}).encode())
        if received.method == "GET":
            self.reads.append(received)
            return self.answers.pop(0) if self.answers else self.found
        self.upserts.append(received)
        return Reply(200, b'{"id": "501"}')


@pytest.fixture
def hubspot(far_end: FarEnd) -> Hubspot:
    hubspot = Hubspot()
    far_end.behave = hubspot.behave
    return hubspot


def tell(hub: RunningHub, **changes: Any) -> None:
    """Post a created contact as HubSpot does."""
    item = {
        "eventId": 100, "subscriptionId": 200, "portalId": 62515, "appId": 54321,
        "occurredAt": int(time.time() * 1000), "subscriptionType": "contact.creation",
        "attemptNumber": 0, "objectId": 501, "changeSource": "CRM", "changeFlag": "NEW",
    } | changes  # fmt: skip
    body, url = json.dumps([item]).encode(), f"{hub.address}/webhooks/hubspot"
    timestamp = str(int(time.time() * 1000))
    signed = b"POST" + url.encode() + body + timestamp.encode()
    digest = hmac.new(HUBSPOT_SECRET.encode(), signed, hashlib.sha256).digest()
    headers = {
        "Content-Type": "application/json",
        "X-HubSpot-Request-Timestamp": timestamp,
        "X-HubSpot-Signature-v3": base64.b64encode(digest).decode(),
    }
    assert requests.post(url, data=body, headers=headers, timeout=10).status_code == 200


def only_event(hub: RunningHub) -> dict[str, Any]:
    [event] = hub.cli("events")
    shown: dict[str, Any] = hub.cli("show", event["id"])
    return shown


def state(hub: RunningHub) -> str:
    return str(hub.cli("events")[0]["state"])


def test_a_contact_that_a_webhook_only_names_is_fetched_and_then_routed(
    tmp_path, database_url, redis_url, far_end, hubspot
) -> None:
    limit = b'{"status": "error", "errorType": "RATE_LIMIT", "policyName": "DAILY"}'
    hubspot.answers = [Reply(429, limit, {"Retry-After": "2"})]
    with running(tmp_path, database_url, redis_url, CONTACTS, FAR_END=far_end.url) as hub:
        hub.start("web", "worker", "clock")
        tell(hub)
        until(lambda: hubspot.upserts, 60, "the upsert")
        until(lambda: len(hub.deliveries(state="succeeded")) == 2, 20, "both deliveries")
        until(lambda: only_event(hub)["contact"], 20, "the contact that is made of it")
        event = only_event(hub)
        tell(hub, attemptNumber=1)
        assert only_event(hub)["duplicates"] == 1
    first, second = hubspot.reads
    assert second.at_s - first.at_s >= 1.9, "it was asked to wait for 2 s"
    assert (event["state"], event["type"]) == ("matched", "contact.created")
    assert event["data"]["email"].lower() == "jane@example.com"
    assert [one["route"] for one in event["deliveries"]] == ["hub:fetch:hubspot", "welcome"]
    [upsert] = hubspot.upserts
    assert upsert.json["properties"]["lifecyclestage"] == "lead"
    assert "Traceback" not in hub.logs()
    assert HUBSPOT_TOKEN not in hub.logs()


def test_a_contact_that_is_gone_completes_the_event_with_its_id_alone(
    tmp_path, sqlite_url, redis_url, far_end, hubspot
) -> None:
    gone = b'{"status": "error", "category": "OBJECT_NOT_FOUND", "message": "resource not found"}'
    hubspot.found = Reply(404, gone)
    with running(tmp_path, sqlite_url, redis_url, CONTACTS, FAR_END=far_end.url) as hub:
        hub.start("web", "worker", "clock")
        tell(hub)
        until(lambda: hub.deliveries(state="succeeded"), 30, "the fetch")
        event = only_event(hub)
    assert event["state"] == "unmatched"
    assert event["data"]["object_id"] == "501"
    assert "email" not in event["data"]
    assert hubspot.upserts == []


def test_refused_credentials_leave_it_incomplete_and_show_why_until_they_are_mended(
    tmp_path, postgresql_url, redis_url, far_end, hubspot
) -> None:
    good, refused = hubspot.found, b'{"category": "INVALID_AUTHENTICATION", "message": "expired"}'
    hubspot.found = Reply(401, refused)
    with running(tmp_path, postgresql_url, redis_url, CONTACTS, FAR_END=far_end.url) as hub:
        hub.start("web", "worker", "clock")
        tell(hub)
        until(lambda: "refused us" in hub.logs(), 30, "the block")
        event = only_event(hub)
        assert event["state"] == "incomplete"
        [fetch] = event["deliveries"]
        assert (fetch["state"], fetch["attempts"]) == ("retrying", 1)
        shown = hub.run("show", event["id"]).stdout
        assert "incomplete" in shown
        assert "401" in shown
        assert "expired" in shown
        assert HUBSPOT_TOKEN not in shown
        hubspot.found = good
        hub.cli("resume", "crm")
        until(lambda: state(hub) == "matched", 30, "the event to be complete")
        until(lambda: hubspot.upserts, 30, "the upsert")
    assert len(hubspot.upserts) == 1


def test_an_event_that_came_before_the_account_is_fetched_when_there_is_one(
    tmp_path, sqlite_url, redis_url, far_end, hubspot
) -> None:
    without = CONTACTS.replace(f"token: {HUBSPOT_TOKEN}", "token: ''")
    with running(tmp_path, sqlite_url, redis_url, without, FAR_END=far_end.url) as hub:
        hub.start("web", "worker", "clock")
        tell(hub)
        until(lambda: hub.cli("events"), 10, "the event")
        for name in list(hub.processes):
            hub.kill(name)
        assert state(hub) == "incomplete"
        assert hub.deliveries() == []
        (tmp_path / "hub.yaml").write_text(CONTACTS)
        hub.start("worker", "clock")
        until(lambda: hubspot.upserts, 60, "the upsert")
        until(lambda: len(hub.deliveries(state="succeeded")) == 2, 20, "both deliveries")
    assert len(hubspot.reads) == 1


def test_a_worker_takes_in_a_missing_contact_and_leaves_changes_alone(
    tmp_path, sqlite_url, redis_url, far_end, hubspot
) -> None:
    def at(hours: float) -> str:
        return (datetime.now(UTC) - timedelta(hours=hours)).isoformat().replace("+00:00", "Z")

    hubspot.listed = [
        {"id": "501", "properties": {}, "createdAt": at(2), "updatedAt": at(1)},
        {"id": "502", "properties": {}, "createdAt": at(900), "updatedAt": at(1)},
    ]
    with running(tmp_path, sqlite_url, redis_url, CONTACTS, FAR_END=far_end.url) as hub:
        hub.start("web", "worker", "clock")
        until(lambda: looked_at(hub, "hubspot"), 30, "the first look")
        hub.kill("worker")
        down_since(hub, "hubspot", datetime.now(UTC) - timedelta(hours=5))
        hub.start("worker")
        until(lambda: hubspot.upserts, 60, "the upsert")
        event = only_event(hub)
        assert (event["native_type"], event["backfilled"]) == ("contact.creation", True)
        asked = hub.cli("backfill", "hubspot", "--since", "3d")
        assert (asked["known"], asked["new"]) == (1, 1), "a person may have the change"
    assert len(hubspot.upserts) == 1


def test_a_thin_event_of_stripe_is_fetched_with_what_it_is_about(
    tmp_path, sqlite_url, redis_url, far_end
) -> None:
    thin = {
        "id": "evt_thin", "object": "v2.core.event", "type": "v1.payment_intent.succeeded",
        "livemode": True, "created": "2026-11-20T10:00:00.000Z",
        "related_object": {
            "id": "pi_1", "type": "payment_intent", "url": "/v1/payment_intents/pi_1",
        },
    }  # fmt: skip
    payment = json.loads(stripe_event("evt_1"))["data"]["object"]
    said = {"/v2/core/events/evt_thin": thin, "/v1/payment_intents/pi_1": payment}

    def behave(received: Received) -> Reply:
        path = urlsplit(received.path).path
        if path == "/v1/events":
            return Reply(200, b'{"object": "list", "data": [], "has_more": false}')
        if path == "/hook":
            return Reply(200)
        assert received.headers["authorization"] == f"Bearer {KEY}"
        return Reply(200, json.dumps(said[path]).encode())

    far_end.behave = behave
    environ = {"FAR_END": far_end.url, "STRIPE": far_end.url}
    with running(tmp_path, sqlite_url, redis_url, PAYMENTS, **environ) as hub:
        hub.start("web", "worker", "clock")
        assert hub.post(json.dumps(thin).encode()) == 200
        until(lambda: len(hub.deliveries(state="succeeded")) == 2, 30, "fetch and call")
        event = only_event(hub)
    assert (event["type"], event["state"]) == ("payment.succeeded", "matched")
    assert (event["data"]["amount"], event["data"]["currency"]) == (4200, "USD")
    [call] = [one for one in far_end.received if one.path == "/hook"]
    assert call.json == {"event": "evt_thin", "email": "jane@example.com"}
