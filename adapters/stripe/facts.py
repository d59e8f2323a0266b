"""What Stripe's objects say, in the names that the hub gives to every provider's data.

One reader per canonical type: the provider's object and its `previous_attributes` in, fields out.
A field that Stripe did not give is absent. Both shapes are read wherever Stripe moved something
(2022-11-15: the charges of a payment intent, the refunds of a charge; 2025-03-31.basil: the period
of a subscription, the subscription of an invoice).
"""

from collections.abc import Callable, Mapping
from typing import Any

from adapters.contract.fields import (
    email_address,
    is_id,
    phone_e164,
    rfc3339,
    text,
    utc_from_epoch,
)
from adapters.contract.money import minor_units
from adapters.stripe.money import money

Native = Mapping[str, Any]
Reader = Callable[[Native, Native], dict[str, Any]]


def payment_succeeded(intent: Native, _previous: Native) -> dict[str, Any]:
    """Read a payment intent that succeeded; the amount is what was received."""
    received = intent.get("amount_received")
    amount = intent.get("amount") if received is None else received
    return _payment(intent) | money(amount, intent.get("currency"))


def payment_failed(intent: Native, _previous: Native) -> dict[str, Any]:
    """Read a payment intent whose attempt failed; `reason` is the most precise code given."""
    error = _at(intent, "last_payment_error")
    reason = _first(text, *(_at(error, key) for key in ("decline_code", "code", "message")))
    return (
        _payment(intent)
        | money(intent.get("amount"), intent.get("currency"))
        | _given(reason=reason)
    )


def payment_refunded(charge: Native, previous: Native) -> dict[str, Any]:
    """Read a charge that was refunded; the amount is this refund alone, not the running total."""
    billing = _at(charge, "billing_details")
    return money(_refunded_now(charge, previous), charge.get("currency")) | _given(
        email=_first(email_address, _at(billing, "email"), charge.get("receipt_email")),
        phone=_first(phone_e164, _at(billing, "phone"), _at(charge, "shipping", "phone")),
        name=_first(text, _at(billing, "name"), _at(charge, "shipping", "name")),
        customer_id=_id(charge.get("customer")),
        object_id=_id(charge.get("payment_intent")) or _id(charge),
        reason=text(_at(charge, "refunds", "data", 0, "reason")),
        url=text(charge.get("receipt_url")),
        metadata=_metadata(charge),
    )


def payment_disputed(dispute: Native, _previous: Native) -> dict[str, Any]:
    """Read a dispute; who paid is only known where evidence is already on file."""
    evidence = _at(dispute, "evidence")
    payment = _id(dispute.get("payment_intent")) or _id(dispute.get("charge"))
    return money(dispute.get("amount"), dispute.get("currency")) | _given(
        email=email_address(_at(evidence, "customer_email_address")),
        name=text(_at(evidence, "customer_name")),
        object_id=payment or _id(dispute),
        reason=text(dispute.get("reason")),
        metadata=_metadata(dispute),
    )


def checkout(session: Native, _previous: Native) -> dict[str, Any]:
    """Read a checkout session; `reason` is its payment status: paid, unpaid (money may follow
    days later) or no_payment_required. `url` is where the customer can go on, while there is one.
    """
    details = _at(session, "customer_details")
    recovery = _at(session, "after_expiration", "recovery", "url")
    return money(session.get("amount_total"), session.get("currency")) | _given(
        email=_first(email_address, _at(details, "email"), session.get("customer_email")),
        phone=phone_e164(_at(details, "phone")),
        name=text(_at(details, "name")),
        customer_id=_id(session.get("customer")),
        object_id=_id(session),
        reason=text(session.get("payment_status")),
        url=_first(text, recovery, session.get("url")),
        metadata=_metadata(session),
    )


def invoice_paid(invoice: Native, _previous: Native) -> dict[str, Any]:
    """Read a paid invoice; the amount is what was paid, which may be 0."""
    return _invoice(invoice) | money(invoice.get("amount_paid"), invoice.get("currency"))


def invoice_payment_failed(invoice: Native, _previous: Native) -> dict[str, Any]:
    """Read an invoice whose payment failed; the amount is what is due."""
    return _invoice(invoice) | money(invoice.get("amount_due"), invoice.get("currency"))


def subscription(native: Native, previous: Native) -> dict[str, Any]:
    """Read a subscription; the amount is one period of all its items, where each has a price."""
    items = _items(native)
    price = _price(items[0]) if items else _at(native, "plan")
    currency = native.get("currency") or _at(price, "currency")
    return money(_period_amount(items), currency) | _given(
        customer_id=_id(native.get("customer")),
        status=text(native.get("status")),
        plan=_first(text, *(_at(price, key) for key in ("lookup_key", "nickname", "id"))),
        period_end_at=_period_end(native, items),
        changed=_changed(previous),
    )


def customer(native: Native, previous: Native) -> dict[str, Any]:
    """Read a customer."""
    return _given(
        customer_id=_id(native),
        email=email_address(native.get("email")),
        phone=phone_e164(native.get("phone")),
        name=text(native.get("name")),
        changed=_changed(previous),
    )


READERS: Mapping[str, Reader] = {
    "payment.succeeded": payment_succeeded,
    "payment.failed": payment_failed,
    "payment.refunded": payment_refunded,
    "payment.disputed": payment_disputed,
    "checkout.completed": checkout,
    "checkout.expired": checkout,
    "invoice.paid": invoice_paid,
    "invoice.payment_failed": invoice_payment_failed,
    "subscription.started": subscription,
    "subscription.changed": subscription,
    "subscription.ended": subscription,
    "customer.created": customer,
    "customer.changed": customer,
    "customer.deleted": customer,
}

# Each of these happens once in the life of one object, so type and object id name the fact, as
# Stripe says of twin events (https://docs.stripe.com/webhooks#handle-duplicate-events). The second
# they were made in is added, because a wrongly merged payment is worse than a twin.
_ONCE = frozenset(
    """
    payment.succeeded payment.disputed checkout.completed checkout.expired
    subscription.started subscription.ended customer.created customer.deleted
    """.split()
)


def fact_key(kind: str, native: Native, created: int) -> str | None:
    """Return a name for the fact that its twin event would share, or None where none is safe.

    It must never be the same for two facts: better no key than a lost payment.
    """
    distinction = _distinction(kind, native, created)
    if distinction is None or not is_id(native.get("id")):
        return None
    key = ":".join([kind, native["id"], *distinction])
    return key if is_id(key) else None


def _distinction(kind: str, native: Native, created: int) -> list[str] | None:
    if kind in _ONCE:
        return [str(created)]
    if kind == "payment.refunded" and type(native.get("amount_refunded")) is int:
        # Two refunds of one charge in one second differ in the running total; the same total
        # comes again only after a refund failed, which takes longer than a second.
        return [str(native["amount_refunded"]), str(created)]
    if kind == "payment.failed":
        # Each attempt has a charge of its own, but `latest_charge` may be an earlier attempt's.
        charge = _id(_at(native, "last_payment_error", "charge"))
        return [charge] if charge else None
    if kind == "invoice.paid" and type(native.get("amount_paid")) is int:
        return [str(native["amount_paid"]), str(created)]
    # Updates may come twice in a second, and manual attempts do not raise `attempt_count`.
    return None


def _payment(intent: Native) -> dict[str, Any]:
    billing = _billing(intent)
    shipping = _at(intent, "shipping")
    return _given(
        email=_first(email_address, intent.get("receipt_email"), _at(billing, "email")),
        phone=_first(phone_e164, _at(shipping, "phone"), _at(billing, "phone")),
        name=_first(text, _at(shipping, "name"), _at(billing, "name")),
        customer_id=_id(intent.get("customer")),
        object_id=_id(intent),
        metadata=_metadata(intent),
    )


def _billing(intent: Native) -> Any:
    # In this order: an expanded charge, one of before 2022-11-15, the method that failed.
    places = (
        _at(intent, "latest_charge", "billing_details"),
        _at(intent, "charges", "data", 0, "billing_details"),
        _at(intent, "last_payment_error", "payment_method", "billing_details"),
    )
    return next((place for place in places if isinstance(place, dict)), None)


def _refunded_now(charge: Native, previous: Native) -> int | None:
    before = previous.get("amount_refunded")
    if before is None:
        # Before 2022-11-15 the refunds came along, newest first.
        newest: int | None = _at(charge, "refunds", "data", 0, "amount")
        return newest
    total = minor_units(charge.get("amount_refunded"), "amount_refunded")
    return total - minor_units(before, "previous_attributes.amount_refunded")


def _invoice(invoice: Native) -> dict[str, Any]:
    return _given(
        email=email_address(invoice.get("customer_email")),
        phone=phone_e164(invoice.get("customer_phone")),
        name=text(invoice.get("customer_name")),
        customer_id=_id(invoice.get("customer")),
        object_id=_id(invoice),
        number=text(invoice.get("number")),
        reason=text(invoice.get("billing_reason")),
        url=text(invoice.get("hosted_invoice_url")),
        metadata=_metadata(invoice) or _metadata(_invoice_subscription(invoice)),
    )


def _invoice_subscription(invoice: Native) -> Any:
    return _at(invoice, "parent", "subscription_details") or invoice.get("subscription_details")


def _items(native: Native) -> list[Any]:
    items = _at(native, "items", "data")
    return items if isinstance(items, list) else []


def _price(item: Any) -> Any:
    return _at(item, "price") or _at(item, "plan")


def _period_amount(items: list[Any]) -> int | None:
    amounts = [_item_amount(item) for item in items]
    known = [amount for amount in amounts if amount is not None]
    return sum(known) if known and len(known) == len(amounts) else None


def _item_amount(item: Any) -> int | None:
    price = _price(item)
    unit = _at(price, "unit_amount") if _at(item, "price") else _at(price, "amount")
    quantity = _at(item, "quantity")
    if unit is None or quantity is None:  # tiered, metered, or in parts of a cent
        return None
    return minor_units(unit, "unit_amount") * minor_units(quantity, "quantity")


def _period_end(native: Native, items: list[Any]) -> str | None:
    ends = [native.get("current_period_end"), *(_at(item, "current_period_end") for item in items)]
    instants = [utc_from_epoch(end, "current_period_end") for end in ends if end is not None]
    return rfc3339(min(instants)) if instants else None


def _changed(previous: Native) -> list[str] | None:
    return sorted(previous) or None


def _metadata(native: Any) -> dict[str, Any] | None:
    metadata = _at(native, "metadata")
    return metadata if isinstance(metadata, dict) and metadata else None


def _id(value: Any) -> str | None:
    """Return the id of what Stripe may give as an id or as the whole object."""
    return text(_at(value, "id") if isinstance(value, dict) else value)


def _at(node: Any, *path: str | int) -> Any:
    for step in path:
        if isinstance(node, dict):
            node = node.get(step)
        elif isinstance(node, list) and isinstance(step, int) and step < len(node):
            node = node[step]
        else:
            return None
    return node


def _first(read: Callable[[Any], str | None], *values: Any) -> str | None:
    return next((found for value in values if (found := read(value)) is not None), None)


def _given(**data: Any) -> dict[str, Any]:
    return {name: value for name, value in data.items() if value is not None}
