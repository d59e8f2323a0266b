"""Particulars of Shopify: topics in unsigned headers, decimal texts, ids, privacy topics."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from adapters.contract.errors import NotVerified, Unreadable
from adapters.contract.event import Event
from adapters.shopify.facts import PRIVACY_TOPICS
from adapters.shopify.inbound import IGNORED_TYPES, ShopifyInbound
from tests.adapters.posting import FIXTURES, NOW, posted, posted_sample, vectors

SECRET = "shopify_secret_number_one"
ADAPTER = ShopifyInbound({"secrets": [SECRET]})
EVENT_ID = "98880550-7158-44d4-b7cd-2c97c8a091b5"
AT = "2026-11-20T07:00:00-05:00"
ORDER: dict[str, Any] = {
    "id": 820982911946154508,
    "order_number": 1001,
    "created_at": AT,
    "updated_at": AT,
    "cancelled_at": None,
    "financial_status": "paid",
    "currency": "USD",
    "total_price": "42.50",
    "line_items": [{"id": 1, "name": "Ladder", "quantity": 2}],
}
CUSTOMER: dict[str, Any] = {"id": 207119551, "created_at": AT, "updated_at": AT}


def parsed(topic: str, native: Any, **headers: str) -> Event:
    named = {"x-shopify-topic": topic, "x-shopify-event-id": EVENT_ID}
    named |= {f"x-shopify-{name.replace('_', '-')}": value for name, value in headers.items()}
    (event,) = ADAPTER.parse(posted(json.dumps(native).encode(), named))
    return event


@pytest.mark.parametrize("vector", vectors("shopify"), ids=lambda one: one["id"])
def test_vectors(vector: dict[str, Any]) -> None:
    ours = ShopifyInbound({"secrets": ["another", *vector["secrets"]]})
    request = posted(vector["body"], vector["headers"])
    if vector["expect"] == "valid":
        assert ours.verify(request) == "secrets[1]"
    else:
        with pytest.raises(NotVerified, match="X-Shopify-Hmac-SHA256"):
            ours.verify(request)


@pytest.mark.parametrize("header", ["X-Shopify-Hmac-Sha256", "x-shopify-hmac-sha256"])
def test_the_spelling_of_the_header_does_not_matter(header: str) -> None:
    (vector,) = (one for one in vectors("shopify") if one["expect"] == "valid")
    (signature,) = vector["headers"].values()
    ours = ShopifyInbound({"secrets": vector["secrets"]})
    assert ours.verify(posted(vector["body"], {header: signature})) == "secrets[0]"


def test_an_order_in_our_words() -> None:
    native = ORDER | {
        "email": None,
        "contact_email": "Jane@EXAMPLE.com",
        "customer": {"id": 7, "email": "other@example.com", "first_name": "Jane", "last_name": "D"},
        "billing_address": {"phone": "+1 202-555-0123", "name": "Bob"},
    }
    event = parsed("orders/paid", native)
    assert event.type == "order.paid"
    assert event.occurred_at == NOW
    assert event.live
    data = {name: value for name, value in event.data.items() if name != "native"}
    assert data == {
        "object_id": "820982911946154508",
        "email": "Jane@example.com",
        "phone": "+12025550123",
        "name": "Jane D",
        "amount": 4250,
        "currency": "USD",
        "status": "paid",
        "items": [{"name": "Ladder", "quantity": 2}],
    }


def test_an_order_of_nobody_has_nobody() -> None:
    native = ORDER | {"customer": None, "billing_address": None, "email": "", "phone": None}
    data = parsed("orders/create", native).data
    assert not {"email", "phone", "name"} & set(data)


@pytest.mark.parametrize(
    ("total", "currency", "amount"),
    [("42.50", "USD", 4250), ("500", "JPY", 500), ("1.500", "KWD", 1500), ("0.00", "EUR", 0)],
)
def test_a_decimal_text_is_in_minor_units(total: str, currency: str, amount: int) -> None:
    data = parsed("orders/paid", ORDER | {"total_price": total, "currency": currency}).data
    assert (data["amount"], data["currency"]) == (amount, currency)


def test_a_negative_total_is_left_out_and_the_order_is_not() -> None:
    event = parsed("orders/paid", ORDER | {"total_price": "-5.00"})
    assert event.type == "order.paid"
    assert "amount" not in event.data
    assert event.data["native"]["total_price"] == "-5.00"


@pytest.mark.parametrize(
    "changes",
    [
        {"total_price": total}
        for total in ("42.505", "1e3", "--5", "-x", "", 42.5, 42, True, [], "9" * 40)
    ]
    + [{"currency": currency} for currency in (None, "", "dollars", 7)],
)
def test_an_amount_that_is_none_is_unreadable(changes: dict[str, Any]) -> None:
    with pytest.raises(Unreadable, match=r"total_price|currency"):
        parsed("orders/paid", ORDER | changes)


@pytest.mark.parametrize(
    ("topic", "native"),
    [
        ("orders/paid", CUSTOMER),
        ("orders/create", CUSTOMER),
        ("orders/fulfilled", CUSTOMER),
        ("customers/create", ORDER),
        ("customers/redact", ORDER),
        ("customers/redact", CUSTOMER),
        ("shop/redact", ORDER),
        ("orders/cancelled", ORDER),
        ("orders/paid", ORDER | {"financial_status": "pending"}),
        ("orders/paid", ORDER | {"financial_status": "partially_paid"}),
        ("orders/paid", ORDER | {"financial_status": "partially_refunded"}),
        ("orders/paid", ORDER | {"financial_status": None}),
        ("orders/fulfilled", ORDER | {"fulfillment_status": "partial"}),
        ("customers/delete", CUSTOMER),
        ("customers/create", CUSTOMER | {"admin_graphql_api_id": "gid://shopify/Product/1"}),
        ("customers/delete", {"id": 1, "admin_graphql_api_id": "gid://shopify/Order/1"}),
        ("refunds/create", {"id": 1, "order_id": 2, "kind": "refund"}),
        ("orders/paid", ORDER | {"id": None}),
        ("customers/update", CUSTOMER | {"id": "7"}),
    ],
)
def test_a_signed_body_is_not_taken_for_another_topic(topic: str, native: Any) -> None:
    event = parsed(topic, native)
    assert event.type == "shopify.webhook"
    assert event.data["reason"].startswith(f"X-Shopify-Topic says {topic}, but")


def test_without_its_headers_it_is_kept_under_the_fact_key() -> None:
    [event] = ADAPTER.parse(posted(json.dumps(ORDER).encode(), {"x-shopify-topic": "orders/paid"}))
    assert (event.type, event.external_id) == ("order.paid", event.fact_key)
    [event] = ADAPTER.parse(posted(json.dumps(ORDER).encode(), {"x-shopify-event-id": EVENT_ID}))
    assert event.type == "shopify.webhook"
    assert EVENT_ID in event.external_id


@pytest.mark.parametrize(
    "topic", ["", "orders", "orders/", "/paid", "Orders/Paid", "a/b\n", "x y/z"]
)
def test_a_topic_is_a_subject_and_what_happened(topic: str) -> None:
    event = parsed(topic, ORDER)
    assert (event.type, "X-Shopify-Topic" in event.data["reason"]) == ("shopify.webhook", True)


def test_one_action_of_the_merchant_is_one_event_per_topic_object_and_change() -> None:
    later = {"updated_at": "2026-11-20T07:00:01-05:00"}
    events = [
        parsed("orders/create", ORDER),
        parsed("orders/paid", ORDER),
        parsed("orders/updated", ORDER),
        parsed("orders/updated", ORDER | later),
        parsed("orders/updated", ORDER | {"id": 1}),
        parsed("inventory_levels/update", {"inventory_item_id": 1, "available": 2}),
        parsed("inventory_levels/update", {"inventory_item_id": 2, "available": 2}),
    ]
    assert len({event.external_id for event in events}) == len(events)


def test_a_retry_and_a_second_subscription_are_the_same_event() -> None:
    first = parsed("orders/paid", ORDER, webhook_id="a", triggered_at=AT)
    second = parsed("orders/paid", ORDER, webhook_id="b", triggered_at=AT)
    assert first.external_id == second.external_id
    assert first.fingerprint == second.fingerprint


def test_a_replay_under_another_id_is_the_same_fact() -> None:
    topics = ("orders/create", "orders/paid", "orders/updated", "customers/create",
              "customers/update", "products/update")  # fmt: skip
    for topic in topics:
        native = ORDER if topic.startswith("orders") else CUSTOMER
        first, second = (parsed(topic, native, event_id=event_id) for event_id in ("one", "two"))
        assert first.external_id != second.external_id
        assert first.fact_key == second.fact_key is not None
        changed = native | {"note": "another"}
        same = parsed(topic, changed).fact_key == first.fact_key
        assert same == topic.endswith(("create", "paid"))
    assert parsed("orders/paid", ORDER).fact_key != parsed("orders/create", ORDER).fact_key


def test_a_later_body_under_the_topic_of_what_was_done_is_no_second_fact() -> None:
    """A captured `orders/updated`, sent as `orders/paid`, would be paid again."""

    def key(topic: str, **changes: Any) -> str | None:
        return parsed(topic, ORDER | changes, event_id="another").fact_key

    later = {"updated_at": "2026-11-21T07:00:00-05:00", "note": "left at the door"}
    sums = {"current_total_price": "42.50", "total_outstanding": "0.00"}
    paid = key("orders/paid", **sums)
    assert key("orders/paid", **sums, **later) == paid
    returned = {"current_total_price": "40.50", "total_outstanding": "-2.00"}
    assert key("orders/paid", **returned, **later) == paid, "two are owed to the customer"
    edited = {"current_total_price": "50.00", "total_outstanding": "0.00"}
    assert key("orders/paid", **edited, **later) != paid, "what was added has been paid"
    assert key("orders/paid", **later) == key("orders/paid")

    cancelled = {"cancelled_at": AT}
    assert key("orders/cancelled", **cancelled, **later) == key("orders/cancelled", **cancelled)
    sent = {"fulfillment_status": "fulfilled", "fulfillments": [{"id": 2}, {"id": 1}]}
    again = sent | {"fulfillments": [{"id": 1}, {"id": 3}]}
    assert key("orders/fulfilled", **sent, **later) == key("orders/fulfilled", **sent)
    assert key("orders/fulfilled", **again) != key("orders/fulfilled", **sent)
    refund = {"id": 1, "order_id": 2, "refund_line_items": []}
    first, second = (parsed("refunds/create", refund | {"note": note}) for note in "ab")
    assert first.fact_key == second.fact_key
    deleted = [parsed("customers/delete", {"id": 1, "phone": phone}) for phone in (None, "+1")]
    assert {(one.type, one.fact_key) for one in deleted} == {
        ("customer.deleted", "customers/delete:1:delete")
    }
    assert key("orders/paid", test=True, **later) != key("orders/paid", test=True), "to be seen"


@pytest.mark.parametrize(
    ("topic", "native", "window_s"),
    [
        ("inventory_levels/disconnect", {"inventory_item_id": 1, "location_id": 2}, 300),
        ("product_listings/remove", {"product_listing": {"product_id": 1}}, 300),
        ("customers/redact", {"shop_domain": "a.example", "customer": {"updated_at": AT}}, 300),
        ("app/uninstalled", {"id": 1, "updated_at": AT, "myshopify_domain": "a.example"}, 300),
        ("locales/create", {"locale": "fr"}, 300),
        ("products/delete", {"id": 1}, None),
        ("product_listings/update", {"product_listing": {"updated_at": AT}}, None),
        ("inventory_levels/update", {"inventory_item_id": 1, "updated_at": AT}, None),
        ("orders/paid", ORDER, None),
        ("disputes/update", {"id": 1, "status": "won"}, None),
        ("orders/edited", {"order_edit": {"id": 1, "created_at": AT}}, None),
    ],
)
def test_a_body_without_a_time_is_one_fact_for_five_minutes(
    topic: str, native: Any, window_s: int | None
) -> None:
    assert parsed(topic, native).fact_window_s == window_s


@pytest.mark.parametrize("topic", sorted(PRIVACY_TOPICS))
def test_the_privacy_topics_are_kept_and_can_be_routed(topic: str) -> None:
    event = parsed(topic, {"shop_id": 1, "shop_domain": "example-shop.myshopify.com"})
    assert event.type == f"shopify.{topic}"
    assert "route it" in IGNORED_TYPES[topic]


def test_a_test_notification_is_not_live() -> None:
    assert parsed("orders/create", ORDER | {"test": True}).live is False
    body = (FIXTURES / "shopify" / "orders_paid.json").read_bytes()
    assert json.loads(body)["financial_status"] == "voided"


def test_the_time_is_the_body_s_else_when_it_was_triggered_else_when_it_came() -> None:
    bare = {"id": 1}
    assert parsed("products/update", bare | {"updated_at": AT}).occurred_at == NOW
    triggered = parsed("products/update", bare, triggered_at="2026-11-20T09:00:00.123456789Z")
    assert triggered.occurred_at == datetime(2026, 11, 20, 9, 0, 0, 123456, tzinfo=UTC)
    assert parsed("products/update", bare).occurred_at == NOW
    for strange in ("yesterday", "", 7, "2026-11-20T09:00:00"):
        with pytest.raises(Unreadable, match="updated_at"):
            parsed("products/update", bare | {"updated_at": strange})


def test_a_sample_escapes_its_slashes_and_is_of_one_person() -> None:
    for topic in ADAPTER.sample_types():
        sample = ADAPTER.sample(topic, "sample_1", NOW, live=True, url="")
        assert b"/" not in sample.body.replace(b"\\/", b"")
        (event,) = ADAPTER.parse(posted_sample(sample))
        assert (event.data["email"], event.data["phone"]) == (
            "jane.doe@example.com",
            "+12025550123",
        )
