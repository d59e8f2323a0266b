"""Event types of Stripe: those mapped to canonical types, and those ignored on purpose.

A thin event that means the same as a snapshot event has the same name with the prefix `v1.`.
https://docs.stripe.com/api/events/types · https://docs.stripe.com/api/v2/core/events/event-types
"""

_NATIVE = {
    "payment_intent.succeeded": "payment.succeeded",
    "payment_intent.payment_failed": "payment.failed",
    "charge.refunded": "payment.refunded",
    "charge.dispute.created": "payment.disputed",
    "checkout.session.completed": "checkout.completed",
    "checkout.session.expired": "checkout.expired",
    "invoice.paid": "invoice.paid",
    "invoice.payment_failed": "invoice.payment_failed",
    "customer.subscription.created": "subscription.started",
    "customer.subscription.updated": "subscription.changed",
    "customer.subscription.deleted": "subscription.ended",
    "customer.created": "customer.created",
    "customer.updated": "customer.changed",
    "customer.deleted": "customer.deleted",
}

_IGNORED = {
    "charge.succeeded": "payment_intent.succeeded tells the same payment",
    "charge.failed": "payment_intent.payment_failed tells the same attempt",
    "charge.refund.updated": "the refund itself was told by charge.refunded",
    "checkout.session.async_payment_failed": "payment_intent.payment_failed tells the same attempt",
    "checkout.session.async_payment_succeeded": "payment_intent.succeeded tells the same payment",
    "invoice.payment_succeeded": "invoice.paid tells the same, and what was paid out of band",
    "invoice_payment.paid": "invoice.paid tells it once the invoice is settled",
    "refund.created": "charge.refunded tells the same, with the customer",
    "refund.updated": "the refund itself was told by charge.refunded",
}

NATIVE_TYPES = _NATIVE | {f"v1.{native}": kind for native, kind in _NATIVE.items()}
IGNORED_TYPES = _IGNORED | {f"v1.{native}": reason for native, reason in _IGNORED.items()}
