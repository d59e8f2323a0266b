"""Readers that turn Stripe's objects into canonical data, with the field names of all providers.

There is one reader per canonical type: it takes the provider's object and its
`previous_attributes`, and returns the fields. A field that Stripe did not give is absent. Where
Stripe moved a field, both shapes are read (2022-11-15: the charges of a payment intent, the refunds
of a charge; 2025-03-31.basil: the period of a subscription, the subscription of an invoice).
"""

from collections.abc import Callable, Mapping
from typing import Any

from adapters.contract.fields import (
    email_address,
    phone_e164,
    rfc3339,
    text,
    utc_from_epoch,
)
from adapters.contract.money import minor_units
from adapters.stripe.money import money
from adapters.stripe.payload_access import at, first, given, id_of, metadata_of

Native = Mapping[str, Any]
Reader = Callable[[Native, Native], dict[str, Any]]


def payment_succeeded(intent: Native, _previous: Native) -> dict[str, Any]:
    """Read a succeeded payment intent; the amount is the amount received."""
    received = intent.get("amount_received")
    amount = intent.get("amount") if received is None else received
    return _payment(intent) | money(amount, intent.get("currency"))


def payment_failed(intent: Native, _previous: Native) -> dict[str, Any]:
    """Read a payment intent with a failed attempt; `reason` is the most precise code given."""
    error = at(intent, "last_payment_error")
    reason = first(text, *(at(error, key) for key in ("decline_code", "code", "message")))
    return (
        _payment(intent)
        | money(intent.get("amount"), intent.get("currency"))
        | given(reason=reason)
    )


def payment_refunded(charge: Native, previous: Native) -> dict[str, Any]:
    """Read a refunded charge; the amount is this refund alone, not the running total."""
    billing = at(charge, "billing_details")
    return money(_refunded_now(charge, previous), charge.get("currency")) | given(
        email=first(email_address, at(billing, "email"), charge.get("receipt_email")),
        phone=first(phone_e164, at(billing, "phone"), at(charge, "shipping", "phone")),
        name=first(text, at(billing, "name"), at(charge, "shipping", "name")),
        customer_id=id_of(charge.get("customer")),
        object_id=id_of(charge.get("payment_intent")) or id_of(charge),
        reason=text(at(charge, "refunds", "data", 0, "reason")),
        url=text(charge.get("receipt_url")),
        metadata=metadata_of(charge),
    )


def payment_disputed(dispute: Native, _previous: Native) -> dict[str, Any]:
    """Read a dispute; the payer is known only if evidence is already on file."""
    evidence = at(dispute, "evidence")
    payment = id_of(dispute.get("payment_intent")) or id_of(dispute.get("charge"))
    return money(dispute.get("amount"), dispute.get("currency")) | given(
        email=email_address(at(evidence, "customer_email_address")),
        name=text(at(evidence, "customer_name")),
        object_id=payment or id_of(dispute),
        reason=text(dispute.get("reason")),
        metadata=metadata_of(dispute),
    )


def checkout(session: Native, _previous: Native) -> dict[str, Any]:
    """Read a checkout session.

    `reason` is its payment status: paid, unpaid (money may follow days later) or
    no_payment_required. `url` is the page where the customer can continue, while there is one.
    """
    details = at(session, "customer_details")
    recovery = at(session, "after_expiration", "recovery", "url")
    return money(session.get("amount_total"), session.get("currency")) | given(
        email=first(email_address, at(details, "email"), session.get("customer_email")),
        phone=phone_e164(at(details, "phone")),
        name=text(at(details, "name")),
        customer_id=id_of(session.get("customer")),
        object_id=id_of(session),
        reason=text(session.get("payment_status")),
        url=first(text, recovery, session.get("url")),
        metadata=metadata_of(session),
    )


def invoice_paid(invoice: Native, _previous: Native) -> dict[str, Any]:
    """Read a paid invoice; the amount is the amount paid, which may be 0."""
    return _invoice(invoice) | money(invoice.get("amount_paid"), invoice.get("currency"))


def invoice_payment_failed(invoice: Native, _previous: Native) -> dict[str, Any]:
    """Read an invoice whose payment failed; the amount is the amount due."""
    return _invoice(invoice) | money(invoice.get("amount_due"), invoice.get("currency"))


def subscription(native: Native, previous: Native) -> dict[str, Any]:
    """Read a subscription; the amount is one period of all items, if each has a fixed price."""
    items = _items(native)
    price = _price(items[0]) if items else at(native, "plan")
    currency = native.get("currency") or at(price, "currency")
    return money(_period_amount(items), currency) | given(
        customer_id=id_of(native.get("customer")),
        status=text(native.get("status")),
        plan=first(text, *(at(price, key) for key in ("lookup_key", "nickname", "id"))),
        period_end_at=_period_end(native, items),
        changed=_changed(previous),
    )


def customer(native: Native, previous: Native) -> dict[str, Any]:
    """Read a customer."""
    return given(
        customer_id=id_of(native),
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


def _payment(intent: Native) -> dict[str, Any]:
    billing = _billing(intent)
    shipping = at(intent, "shipping")
    return given(
        email=first(email_address, intent.get("receipt_email"), at(billing, "email")),
        phone=first(phone_e164, at(shipping, "phone"), at(billing, "phone")),
        name=first(text, at(shipping, "name"), at(billing, "name")),
        customer_id=id_of(intent.get("customer")),
        object_id=id_of(intent),
        metadata=metadata_of(intent),
    )


def _billing(intent: Native) -> Any:
    # In this order: an expanded charge, a charge embedded before 2022-11-15, the payment method
    # that failed.
    places = (
        at(intent, "latest_charge", "billing_details"),
        at(intent, "charges", "data", 0, "billing_details"),
        at(intent, "last_payment_error", "payment_method", "billing_details"),
    )
    return next((place for place in places if isinstance(place, dict)), None)


def _refunded_now(charge: Native, previous: Native) -> int | None:
    before = previous.get("amount_refunded")
    if before is None:
        # Before 2022-11-15 a charge embedded its refunds, newest first.
        newest: int | None = at(charge, "refunds", "data", 0, "amount")
        return newest
    total = minor_units(charge.get("amount_refunded"), "amount_refunded")
    return total - minor_units(before, "previous_attributes.amount_refunded")


def _invoice(invoice: Native) -> dict[str, Any]:
    return given(
        email=email_address(invoice.get("customer_email")),
        phone=phone_e164(invoice.get("customer_phone")),
        name=text(invoice.get("customer_name")),
        customer_id=id_of(invoice.get("customer")),
        object_id=id_of(invoice),
        number=text(invoice.get("number")),
        reason=text(invoice.get("billing_reason")),
        url=text(invoice.get("hosted_invoice_url")),
        metadata=metadata_of(invoice) or metadata_of(_invoice_subscription(invoice)),
    )


def _invoice_subscription(invoice: Native) -> Any:
    return at(invoice, "parent", "subscription_details") or invoice.get("subscription_details")


def _items(native: Native) -> list[Any]:
    items = at(native, "items", "data")
    return items if isinstance(items, list) else []


def _price(item: Any) -> Any:
    return at(item, "price") or at(item, "plan")


def _period_amount(items: list[Any]) -> int | None:
    amounts = [_item_amount(item) for item in items]
    known = [amount for amount in amounts if amount is not None]
    return sum(known) if known and len(known) == len(amounts) else None


def _item_amount(item: Any) -> int | None:
    price = _price(item)
    unit = at(price, "unit_amount") if at(item, "price") else at(price, "amount")
    quantity = at(item, "quantity")
    # Tiered or metered prices, and those in fractions of a cent, lack a unit amount or a quantity.
    if unit is None or quantity is None:
        return None
    return minor_units(unit, "unit_amount") * minor_units(quantity, "quantity")


def _period_end(native: Native, items: list[Any]) -> str | None:
    ends = [native.get("current_period_end"), *(at(item, "current_period_end") for item in items)]
    instants = [utc_from_epoch(end, "current_period_end") for end in ends if end is not None]
    return rfc3339(min(instants)) if instants else None


def _changed(previous: Native) -> list[str] | None:
    return sorted(previous) or None
