"""Canonical fields, topic checks and fact keys of Shopify's orders and customers.

A field that Shopify did not send is absent. Money follows `adapters.contract.money`.
"""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from adapters.contract.errors import Unreadable
from adapters.contract.event import UNTIMED_WINDOW_S
from adapters.contract.fields import email_address, is_id, phone_e164, text
from adapters.contract.money import currency_code, minor_units_of
from adapters.contract.strict_json import digest

Native = Mapping[str, Any]

# Mandatory topics of every app; the body is about a shop, and has no id.
PRIVACY_TOPICS = frozenset({"customers/data_request", "customers/redact", "shop/redact"})

_TIMES = {
    "orders/create": "created_at",
    "orders/cancelled": "cancelled_at",
    "customers/create": "created_at",
}
# Topics that occur at most once at a given time for one object, and whose body has that time.
_ONCE = frozenset("orders/create orders/cancelled customers/create".split())
# Topics whose body is an order.
_ORDERS = frozenset(
    f"orders/{verb}"
    for verb in "create updated paid cancelled fulfilled partially_fulfilled".split()
)
# Types of GraphQL ids (`gid://shopify/Order/1`) that bodies of these families have.
_GIDS = {"orders": "Order", "customers": "Customer", "refunds": "Refund"}
# Topics that say what an order came to: the field of the body, and its value then.
_STATES = {
    "orders/paid": ("financial_status", "paid"),
    "orders/fulfilled": ("fulfillment_status", "fulfilled"),
    "orders/partially_fulfilled": ("fulfillment_status", "partial"),
}
_AMOUNT = re.compile(r"-?[0-9]{1,16}(\.[0-9]{1,12})?", re.ASCII)


def check_topic(topic: str, native: Native) -> None:
    """Require a body that agrees with its topic, since the topic's header is not signed.

    Raises:
        Unreadable: the body is of another kind of object, or contradicts the topic.
    """
    if contradiction := _other_kind(topic, native) or _other_state(topic, native):
        raise Unreadable(f"X-Shopify-Topic says {topic}, but {contradiction}")


def _other_kind(topic: str, native: Native) -> str | None:
    family = topic.partition("/")[0]
    is_order = isinstance(native.get("line_items"), list) and "order_number" in native
    if topic in _ORDERS and not is_order:
        return "the body is no order"
    if family != "orders" and is_order:
        return "the body is an order"
    if topic in PRIVACY_TOPICS:
        return None if text(native.get("shop_domain")) else "the body names no shop_domain"
    if (topic in _ORDERS or family == "customers") and not object_id(native):
        return "the body has no id"
    gid = text(native.get("admin_graphql_api_id"))
    if gid and family in _GIDS and not gid.startswith(f"gid://shopify/{_GIDS[family]}/"):
        return "the body is of another kind of object"
    if topic == "refunds/create" and not isinstance(native.get("refund_line_items"), list):
        return "the body is no refund"
    return None


def _other_state(topic: str, native: Native) -> str | None:
    if topic == "customers/delete" and ("updated_at" in native or "created_at" in native):
        return "the body is of a customer who is there"
    if topic == "orders/cancelled" and not native.get("cancelled_at"):
        return "the order is not"
    field, state = _STATES.get(topic, ("", None))
    # A test notification is an example of everything at once.
    if field and native.get("test") is not True and native.get(field) != state:
        return f"its {field} is not {state}"
    return None


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
    """Return the fact key: the topic and what happened, or the topic and the digest of the body.

    What happened is independent of `updated_at`: the body of another topic has the same object at a
    later time. The body alone is not enough: one action is reported under several topics.
    """
    done = None if native.get("test") is True and topic not in _ONCE else _done(topic, native)
    key = f"{topic}:{object_id(native)}:{done}"
    return key if done is not None and is_id(key) else f"{topic}:{digest(native).hex()}"


def fact_window_s(topic: str, native: Native) -> int | None:
    """Return for how long the fact key counts; None for ever, if a second event differs.

    A shop's `updated_at` is not that of what was done in the shop.
    """
    if _done(topic, native) is not None:
        return None
    if topic.startswith("disputes/") and native.get("id") and native.get("status"):
        return None  # it has each status once
    inner = _mapping(next(iter(native.values()))) if len(native) == 1 else {}
    if topic == "orders/edited" and text(inner.get("created_at")):
        return None  # an edit is made once, and has an id
    timed = any(text(one.get("updated_at")) for one in (native, inner))
    return None if timed and "myshopify_domain" not in native else UNTIMED_WINDOW_S


def _done(topic: str, native: Native) -> str | None:
    """Return what can happen to an object only once, in words; None if the body does not say."""
    if not object_id(native):
        return None
    if topic in _ONCE:
        return text(native.get(time_field(topic)))
    if topic == "orders/paid":
        return f"paid:{_received(native)}"
    if topic in _STATES:
        listed = native.get("fulfillments")
        ids = [str(_mapping(one).get("id")) for one in listed] if isinstance(listed, list) else []
        return digest(sorted(ids)).hex() if ids else None
    verb = topic.rpartition("/")[2]
    return verb if verb in ("create", "delete") else None


def _received(native: Native) -> str:
    """Return the sum that was paid so far, before refunds: an edited order is paid once more.

    Without the fields for it that is the total of the order.
    """
    total, open_sum = native.get("current_total_price"), native.get("total_outstanding")
    if not all(isinstance(one, str) and _AMOUNT.fullmatch(one) for one in (total, open_sum)):
        return str(native.get("total_price"))
    return f"{Decimal(str(total)) - Decimal(str(open_sum)):f}"


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
