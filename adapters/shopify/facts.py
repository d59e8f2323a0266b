"""Canonical fields, topic checks and fact keys of Shopify's orders and customers.

A field that Shopify did not send is absent. Money follows `adapters.contract.money`.
"""

from collections.abc import Callable, Mapping
from typing import Any

from adapters.contract.errors import Unreadable
from adapters.contract.fields import email_address, is_id, phone_e164, text
from adapters.contract.money import currency_code, minor_units_of
from adapters.contract.strict_json import digest

Native = Mapping[str, Any]

# The `financial_status` of an order that is not paid.
MONEY_TO_COME = frozenset("pending authorized unpaid partially_paid expired".split())

# Mandatory topics of every app; the body is about a shop, and has no id.
PRIVACY_TOPICS = frozenset({"customers/data_request", "customers/redact", "shop/redact"})

_TIMES = {
    "orders/create": "created_at",
    "orders/cancelled": "cancelled_at",
    "customers/create": "created_at",
}
# Topics that occur at most once at a given time for one object, and whose body has that time.
_ONCE = frozenset("orders/create orders/paid orders/cancelled customers/create".split())


def check_topic(topic: str, native: Native) -> None:
    """Require a body that agrees with its topic, since the topic's header is not signed.

    Raises:
        Unreadable: the body is of another kind of object, or contradicts the topic.
    """
    family = topic.partition("/")[0]
    is_order = isinstance(native.get("line_items"), list) and "order_number" in native
    if family == "orders" and topic != "orders/delete" and not is_order:
        raise Unreadable(f"X-Shopify-Topic says {topic}, but the body is no order")
    if family != "orders" and is_order:
        raise Unreadable(f"X-Shopify-Topic says {topic}, but the body is an order")
    if topic in PRIVACY_TOPICS and text(native.get("shop_domain")) is None:
        raise Unreadable(f"X-Shopify-Topic says {topic}, but the body names no shop_domain")
    if family in ("orders", "customers") and topic not in PRIVACY_TOPICS and not object_id(native):
        raise Unreadable("the body has no id")
    if topic == "orders/cancelled" and not native.get("cancelled_at"):
        raise Unreadable("X-Shopify-Topic says orders/cancelled, but the order is not")
    if topic == "orders/paid" and text(native.get("financial_status")) in MONEY_TO_COME:
        raise Unreadable("X-Shopify-Topic says orders/paid, but the order is not")


def order(native: Native) -> dict[str, Any]:
    """Return the fields of an order: amount is its total, status its payment's or `cancelled`."""
    customer = _mapping(native.get("customer"))
    billing = _mapping(native.get("billing_address"))
    shipping = _mapping(native.get("shipping_address"))
    status = "cancelled" if native.get("cancelled_at") else text(native.get("financial_status"))
    emails = (native.get("email"), native.get("contact_email"), customer.get("email"))
    phones = (place.get("phone") for place in (native, customer, billing, shipping))
    return _total(native) | _given(
        object_id=object_id(native),
        email=_first(email_address, *emails),
        phone=_first(phone_e164, *phones),
        name=_full_name(customer) or _full_name(billing),
        status=status,
        items=_items(native.get("line_items")),
    )


def customer(native: Native) -> dict[str, Any]:
    """Return the fields of a customer; status is the shop account's (`enabled`, `invited`)."""
    return _given(
        customer_id=object_id(native),
        email=email_address(native.get("email")),
        phone=phone_e164(native.get("phone")),
        name=_full_name(native),
        status=text(native.get("state")),
    )


READERS: Mapping[str, Callable[[Native], dict[str, Any]]] = {
    "order.created": order,
    "order.paid": order,
    "order.cancelled": order,
    "customer.created": customer,
    "customer.changed": customer,
    "customer.deleted": customer,
}


def object_id(native: Native) -> str | None:
    """Return the id of the order or customer in the body, or None without a valid one."""
    value = native.get("id")
    return str(value) if type(value) is int and value > 0 else None


def time_field(topic: str) -> str:
    """Return the name of the body's field that has the time of the event."""
    return _TIMES.get(topic, "updated_at")


def fact_key(topic: str, native: Native) -> str:
    """Return the fact key: topic, object and time, or the topic and the digest of the body.

    The body alone is not enough: one action is reported under several topics.
    """
    at = native.get(time_field(topic))
    key = f"{topic}:{object_id(native)}:{at}"
    if topic in _ONCE and isinstance(at, str) and is_id(key):
        return key
    return f"{topic}:{digest(native).hex()}"


def _total(native: Native) -> dict[str, Any]:
    total, currency = native.get("total_price"), native.get("currency")
    if total is None:
        return {}
    code = currency_code(currency, "currency")
    if isinstance(total, str) and total.startswith("-"):
        # More was refunded than the order is worth; a canonical amount is never negative.
        minor_units_of(total[1:], code, "total_price")
        return {"currency": code}
    if not isinstance(total, str):
        raise Unreadable("total_price must be a decimal text like 10.50")
    return {"amount": minor_units_of(total, code, "total_price"), "currency": code}


def _items(lines: Any) -> list[dict[str, Any]] | None:
    if not isinstance(lines, list):
        return None
    items = [
        _given(
            name=text(line.get("name")),
            quantity=line["quantity"] if type(line.get("quantity")) is int else None,
            sku=text(line.get("sku")),
        )
        for line in lines
        if isinstance(line, dict)
    ]
    return [item for item in items if item] or None


def _full_name(person: Native) -> str | None:
    names = (text(person.get("first_name")), text(person.get("last_name")))
    return " ".join(name.strip() for name in names if name) or text(person.get("name"))


def _mapping(value: Any) -> Native:
    return value if isinstance(value, dict) else {}


def _first(read: Callable[[Any], str | None], *values: Any) -> str | None:
    return next((found for value in values if (found := read(value)) is not None), None)


def _given(**data: Any) -> dict[str, Any]:
    return {name: value for name, value in data.items() if value is not None}
