"""Webhook to call, end to end: signed in, one call out, with real processes, stores and sockets."""

import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from standardwebhooks import Webhook

from tests.far_end import FarEnd, Reply
from tests.running import OPS_SECRET, RunningHub, stripe_event, stripe_signature, until

CRM = """
sources:
  stripe: {adapter: stripe, secrets: ["${STRIPE_WEBHOOK_SECRET}"]}
destinations:
  crm: {adapter: hubspot, token: pat-for-tests, base_url: "${FAR_END}"}
  chat: {adapter: slack, url: "${FAR_END}/slack", timeout: 2s}
routes:
  payment-to-crm:
    on: payment.succeeded
    do: crm.upsert_contact
    with:
      email: "{{ data.email }}"
      properties: {amount: "{{ data.amount | money(data.currency) }}"}
  big-to-chat:
    on: payment.succeeded
    when: "data.amount > 10000"
    do: chat.post
    with: {text: "{{ data.amount | money(data.currency) }}"}
"""


@pytest.fixture
def far_end():
    with FarEnd() as far_end:
        yield far_end


def running(tmp_path: Path, database_url: str, redis_url: str, far_end: FarEnd, **options):
    environ = {"FAR_END": far_end.url}
    return RunningHub(
        tmp_path, database_url=database_url, redis_url=redis_url, environ=environ, **options
    )


def test_a_payment_becomes_one_upsert_however_often_it_is_told(
    tmp_path, database_url, redis_url, far_end
):
    far_end.behave = lambda _: Reply(200, b'{"id": "501"}')
    body = stripe_event("evt_1")
    with running(tmp_path, database_url, redis_url, far_end, config=CRM) as hub:
        hub.start("web", "worker", "clock")
        assert hub.post(body) == 200
        until(lambda: hub.deliveries(state="succeeded"), 20, "the delivery")
        with ThreadPoolExecutor(10) as pool:
            assert set(pool.map(hub.post, [body] * 50)) == {200}
        [event] = hub.cli("events")
        [delivery] = hub.cli("deliveries")
        assert event["duplicates"] == 50
        assert event["type"] == "payment.succeeded"
        assert delivery["provider_ref"] == "501"
        assert delivery["attempts"] == 1
    [upsert] = far_end.received
    assert upsert.method == "PATCH"
    assert upsert.path.startswith("/crm/v3/objects/contacts/jane%40example.com")
    assert upsert.json["properties"]["amount"] == "$42.00"


def test_50_at_once_are_one_event(tmp_path, database_url, redis_url, far_end):
    body = stripe_event("evt_50")
    with running(tmp_path, database_url, redis_url, far_end) as hub:
        hub.start("web")
        with ThreadPoolExecutor(50) as pool:
            assert list(pool.map(hub.post, [body] * 50)) == [200] * 50
        assert len(hub.cli("events")) == 1
        assert len(hub.cli("deliveries")) == 1


def test_what_is_sent_is_signed_and_under_the_delivery_s_id(
    tmp_path, database_url, redis_url, far_end
):
    answers = iter([Reply(503), Reply(200)])
    far_end.behave = lambda _: next(answers)
    config = """
sources: {stripe: {adapter: stripe, secrets: ["${STRIPE_WEBHOOK_SECRET}"]}}
destinations:
  ops: {adapter: http, url: "${FAR_END}/hook", secret: "${OPS_SECRET}", retry: {first_delay: 1s}}
routes:
  all: {on: "*", do: ops.post, with: {body: {id: "{{ event.id }}"}}}
"""
    with running(tmp_path, database_url, redis_url, far_end, config=config) as hub:
        hub.start("web", "worker", "clock")
        assert hub.post(stripe_event("evt_1")) == 200
        until(lambda: hub.deliveries(state="succeeded"), 30, "the retry")
        [delivery] = hub.cli("deliveries")
    first, second = far_end.received
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == delivery["id"]
    assert first.body == second.body
    Webhook(OPS_SECRET).verify(second.body, second.headers)
    assert delivery["attempts"] == 2


def test_a_forged_request_gets_401_and_leaves_a_trace_that_can_be_verified_again(
    tmp_path, postgresql_url, redis_url, far_end
):
    import requests

    body = stripe_event("evt_1")
    with running(tmp_path, postgresql_url, redis_url, far_end) as hub:
        hub.start("web")
        forged = {"Stripe-Signature": stripe_signature(body, secret="whsec_the_new_one_of_today")}
        url = f"{hub.address}/webhooks/stripe"
        answer = requests.post(url, data=body, headers=forged, timeout=30)
        assert answer.status_code == 401
        assert hub.cli("events") == []
        [request] = hub.cli("requests", "--state", "rejected")
        assert hub.run("replay", request["id"], "--yes").returncode == 1
        hub.environ["STRIPE_WEBHOOK_SECRET"] = "whsec_the_new_one_of_today"
        assert hub.cli("replay", request["id"], "--yes")["state"] == "accepted"
        assert [event["external_id"] for event in hub.cli("events")] == ["evt_1"]


def test_an_at_most_once_call_without_an_answer_is_unknown_until_a_person_settles_it(
    tmp_path, postgresql_url, redis_url, far_end
):
    far_end.behave = lambda call: Reply(0) if call.path == "/slack" else Reply(200, b'{"id": "1"}')
    with running(tmp_path, postgresql_url, redis_url, far_end, config=CRM) as hub:
        hub.start("web", "worker", "clock")
        assert hub.post(stripe_event("evt_1", amount_received=20_000)) == 200
        until(lambda: hub.deliveries(state="unknown"), 20, "an unknown outcome")
        [unknown] = hub.cli("unknown")
        refused = hub.run("replay", unknown["id"], "--yes")
        assert refused.returncode == 1
        assert "settle" in refused.stderr
        far_end.behave = lambda _: Reply(200, b"ok")
        assert hub.cli("settle", unknown["id"], "--as", "again", "--reason", "not in the channel")
        until(lambda: not hub.deliveries(state="retrying"), 20, "the second try")
        shown = hub.cli("show", unknown["id"])
        assert shown["state"] == "succeeded"
        assert [attempt["state"] for attempt in shown["attempt_rows"]] == [
            "not_processed",
            "accepted",
        ]
    assert [call.json for call in far_end.received if call.path == "/slack"] == [
        {"text": "$200.00"},
        {"text": "$200.00"},
    ]


def test_refused_credentials_block_the_lane_and_spend_no_attempt(
    tmp_path, postgresql_url, redis_url, far_end
):
    far_end.behave = lambda _: Reply(401, b'{"message": "expired", "category": "EXPIRED"}')
    with running(tmp_path, postgresql_url, redis_url, far_end, config=CRM) as hub:
        hub.start("web", "worker", "clock")
        for n in range(3):
            assert hub.post(stripe_event(f"evt_{n}")) == 200
        until(lambda: far_end.received, 20, "the first call")
        until(lambda: '"crm' in hub.logs() or "refused us" in hub.logs(), 20, "the block")
        calls = len(far_end.received)
        far_end.behave = lambda _: Reply(200, b'{"id": "1"}')
        assert calls <= 3
        hub.cli("resume", "crm")
        until(
            lambda: {row["state"] for row in hub.deliveries()} == {"succeeded"},
            20,
            "all three after the mending",
        )


def test_pause_holds_everything_back_and_resume_lets_it_go(
    tmp_path, sqlite_url, redis_url, far_end
):
    with running(tmp_path, sqlite_url, redis_url, far_end) as hub:
        hub.start("web", "worker", "clock")
        hub.cli("pause", "ops")
        assert hub.post(stripe_event("evt_1")) == 200
        until(hub.deliveries, 10, "the delivery")
        time.sleep(6)  # a sweep has come by
        assert far_end.received == []
        assert hub.deliveries()[0]["state"] == "pending"
        hub.cli("resume", "ops")
        until(lambda: far_end.received, 10, "the call")


def test_sigterm_lets_the_call_under_way_end(tmp_path, sqlite_url, redis_url, far_end):
    far_end.behave = lambda _: Reply(200, after_s=2)
    with running(tmp_path, sqlite_url, redis_url, far_end) as hub:
        hub.start("web", "worker")
        assert hub.post(stripe_event("evt_1")) == 200
        until(lambda: far_end.received, 10, "the call")
        hub.processes["worker"].send_signal(signal.SIGTERM)
        assert hub.processes["worker"].wait(20) == 0
        assert hub.deliveries()[0]["state"] == "succeeded"
    assert len(far_end.received) == 1


def test_a_quick_destination_does_not_feel_a_dead_one(tmp_path, postgresql_url, redis_url, far_end):
    config = """
sources: {stripe: {adapter: stripe, secrets: ["${STRIPE_WEBHOOK_SECRET}"]}}
destinations:
  quick: {adapter: http, url: "${FAR_END}/quick", secret: "${OPS_SECRET}"}
  dead: {adapter: http, url: "${FAR_END}/dead", secret: "${OPS_SECRET}", timeout: 8s}
routes:
  a: {on: "*", do: dead.post, with: {body: {at: "{{ event.external_id }}"}}}
  b: {on: "*", do: quick.post, with: {body: {at: "{{ event.external_id }}"}}}
"""
    far_end.behave = lambda call: Reply(after_s=60 if call.path == "/dead" else 0)
    with running(tmp_path, postgresql_url, redis_url, far_end, config=config) as hub:
        hub.start("web", "worker", "clock")
        sent: dict[str, float] = {}
        for n in range(60):
            sent[f"evt_{n}"] = time.monotonic()
            assert hub.post(stripe_event(f"evt_{n}")) == 200
            time.sleep(0.05)
        quick = lambda: [one for one in list(far_end.received) if one.path == "/quick"]  # noqa: E731
        until(lambda: len(quick()) == 60, 10, "all quick calls")
        delays = sorted(one.at_s - sent[one.json["at"]] for one in quick())
        assert delays[int(len(delays) * 0.95)] < 1.0, delays
