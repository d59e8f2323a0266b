"""Everything that the hub sends to Stripe, recorded from the wire by a real server.

`python -m tests.adapters.outbound.stripe_wire` writes the snapshot anew: read its difference.
"""

import json
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any

from adapters import Call
from adapters.stripe.listing import list_since
from hub.gateways.http.transport import GuardedTransport
from tests.adapters.openapi import FIXTURES
from tests.adapters.outbound.conftest import NOW
from tests.adapters.outbound.stripe_calls import DELIVERY, OTHER, Desk, destination
from tests.gateways.servers import Far, http_server
from tests.stripe_far_end import KEY, NOW_S, Fault, StripeFarEnd, stripe_far_end

SNAPSHOT = FIXTURES.parent / "wire" / "stripe.json"
# They name the port of the day.
LOCAL = {"host"}

Request = dict[str, Any]

JANE = {"email": "jane+x@example.org", "name": "Jané & Söhne", "phone": "+12025550123",
        "metadata": {"a b": "ü [1]", "vip": True, "no": ""}}  # fmt: skip
ROOF = {"description": "Dach & Fach [1]", "amount": 120_000, "currency": "USD"}
TILES = {"description": "Tiles", "amount": 250, "currency": "USD", "quantity": 40}
PART = {"payment_intent": "pi_1", "amount": 300, "reason": "duplicate", "metadata": {"job": 7}}


def requests_of(received: Iterable[Any]) -> list[Request]:
    return [
        {
            "method": one.method,
            "url": one.path,
            "headers": {k: v for k, v in sorted(one.headers.items()) if k not in LOCAL},
            "body": one.body.decode("ascii"),
        }
        for one in received
    ]


def payments(stripe: StripeFarEnd) -> None:
    stripe.add("payment_intents", id="pi_1", amount=1000, currency="usd")
    stripe.add("charges", id="ch_1", amount=1000, currency="isk")


def customer_created(stripe: StripeFarEnd, desk: Desk) -> None:
    desk.perform("upsert_customer", JANE)


def customer_updated(stripe: StripeFarEnd, desk: Desk) -> None:
    stripe.add("customers", id="cus_old", email=JANE["email"])
    desk.perform("upsert_customer", JANE)


def customer_in_capitals(stripe: StripeFarEnd, desk: Desk) -> None:
    desk.perform("upsert_customer", {"email": " Jim@Example.ORG "})


def customer_made_anew(stripe: StripeFarEnd, desk: Desk) -> None:
    desk.perform("upsert_customer", JANE)
    stripe.objects["customers"].clear()
    desk.perform("upsert_customer", JANE, OTHER)


def oldest_customer(stripe: StripeFarEnd, desk: Desk) -> None:
    for number in range(230):
        stripe.add("customers", id=f"cus_{number}", email="jane@example.org")
    desk.perform("upsert_customer", {"email": "jane@example.org"})


def payment_link(stripe: StripeFarEnd, desk: Desk) -> None:
    desk.perform("create_payment_link", {**ROOF, "quantity": 2, "metadata": {"ü": "a b"}})


def payment_link_of_a_price(stripe: StripeFarEnd, desk: Desk) -> None:
    desk.perform("create_payment_link", {"price": "price_1"})


def invoice(stripe: StripeFarEnd, desk: Desk) -> None:
    items = {"items": [ROOF, TILES], "days_until_due": 14, "metadata": {"job": "7"}}
    desk.perform("send_invoice", {"email": "jane@example.org", **items})


def refund(stripe: StripeFarEnd, desk: Desk) -> None:
    payments(stripe)
    desk.perform("refund", PART)


def refund_of_a_charge(stripe: StripeFarEnd, desk: Desk) -> None:
    payments(stripe)
    desk.perform("refund", {"charge": "ch_1", "amount": 3})
    desk.perform("refund", {"charge": "ch_1"}, OTHER)


def refund_refused(stripe: StripeFarEnd, desk: Desk) -> None:
    payments(stripe)
    desk.perform("refund", {"payment_intent": "pi_1"})
    desk.perform("refund", {"payment_intent": "pi_1"}, OTHER)


def read_back(stripe: StripeFarEnd, desk: Desk) -> None:
    """Answer each write with a 500 that is said to stay, then read what it made."""
    payments(stripe)
    for path, action, given in (
        ("/customers", "upsert_customer", JANE),
        ("/cus_1", "upsert_customer", JANE | {"name": "J"}),
        ("/payment_links", "create_payment_link", ROOF),
        ("/refunds", "refund", PART),
        ("/invoices", "send_invoice", {"customer": "cus_1", **ROOF}),
        ("/invoiceitems", "send_invoice", {"customer": "cus_1", **ROOF}),
        ("/finalize", "send_invoice", {"customer": "cus_1", **ROOF}),
        ("/send", "send_invoice", {"customer": "cus_1", **ROOF}),
    ):
        stripe.faults = [Fault(path, done=True, headers={"Stripe-Should-Retry": "false"})]
        desk.perform(action, given, f"{DELIVERY}{path}")


def look_ups(stripe: StripeFarEnd, desk: Desk) -> None:
    payments(stripe)
    desk.perform("send_invoice", {"email": "jane@example.org", **ROOF})
    stripe.received.clear()
    desk.look_up("upsert_customer", JANE)
    desk.look_up("create_payment_link", ROOF)
    desk.look_up("refund", PART)
    desk.look_up("send_invoice", {"email": "jane@example.org", **ROOF})


def probe(stripe: StripeFarEnd, desk: Desk) -> None:
    desk.adapter.probe()


def connected_account(stripe: StripeFarEnd, desk: Desk) -> None:
    own = {"account": "acct_1", "api_version": "2024-06-20"}
    one = destination(stripe.url + "/", desk.adapter._transport, **own)
    one.perform(Call("upsert_customer", {"email": "jane@example.org"}, DELIVERY, "", NOW))


def backfill(stripe: StripeFarEnd, desk: Desk) -> None:
    for number in range(250):
        stripe.add("events", id=f"evt_{number}", created=NOW_S)
    settings = {"api_key": KEY, "account": "acct_1", "base_url": stripe.url}
    since = NOW - timedelta(days=20)
    list(list_since(since, NOW, desk.adapter._transport, settings))


STORIES: tuple[Callable[[StripeFarEnd, Desk], None], ...] = (
    customer_created,
    customer_updated,
    customer_in_capitals,
    customer_made_anew,
    oldest_customer,
    payment_link,
    payment_link_of_a_price,
    invoice,
    refund,
    refund_of_a_charge,
    refund_refused,
    read_back,
    look_ups,
    probe,
    connected_account,
    backfill,
)


def thin_event(far: Far, transport: GuardedTransport) -> None:
    event = {"id": "evt_1", "related_object": {"url": "/v1/billing/meters/mtr_123"}}
    far.says((200, {}, json.dumps(event).encode()), (200, {}, b'{"id": "mtr_123"}'))
    one = destination(far.url, transport, account="acct_other")
    for context in ({"context": "acct_123"}, {}):
        one.perform(Call("fetch", {"event_id": "evt_1", **context}, DELIVERY, "", NOW))


def recorded() -> dict[str, list[Request]]:
    """Return the requests of each story."""
    transport = GuardedTransport(allow_private=True, timeout_s=15)
    told: dict[str, list[Request]] = {}
    for story in STORIES:
        with stripe_far_end() as stripe:
            story(stripe, Desk(stripe, transport))
            told[story.__name__] = requests_of(stripe.received)
    with http_server() as far:
        thin_event(far, transport)
        told[thin_event.__name__] = requests_of(far.seen)
    return told


if __name__ == "__main__":
    SNAPSHOT.write_text(json.dumps(recorded(), indent=1) + "\n")
