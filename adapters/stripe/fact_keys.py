"""Fact keys for events that Stripe may send twice, under two event ids.

https://docs.stripe.com/webhooks#handle-duplicate-events
"""

from collections.abc import Mapping
from typing import Any

from adapters.contract.fields import is_id
from adapters.stripe.payload_access import at, id_of

Native = Mapping[str, Any]

# Each of these happens once in the life of an object, so type and object id identify the fact, as
# Stripe says of duplicate events (https://docs.stripe.com/webhooks#handle-duplicate-events). The
# second of creation is added, because a wrongly merged payment is worse than a duplicate event.
_ONCE = frozenset(
    """
    payment.succeeded payment.disputed checkout.completed checkout.expired
    subscription.started subscription.ended customer.created customer.deleted
    """.split()
)


def fact_key(kind: str, native: Native, previous: Native, created: int) -> str | None:
    """Return the fact key that a duplicate event would share, or None where no key is safe.

    The key must never be the same for two facts: no key is better than a lost payment.
    """
    distinction = _distinction(kind, native, previous, created)
    if distinction is None or not is_id(native.get("id")):
        return None
    key = ":".join([kind, native["id"], *distinction])
    return key if is_id(key) else None


def _distinction(kind: str, native: Native, previous: Native, created: int) -> list[str] | None:
    if kind in _ONCE:
        return [str(created)]
    if kind == "payment.refunded" and type(native.get("amount_refunded")) is int:
        # Refunds of one charge in one second differ in the running total before or after them;
        # the same pair occurs again only after a refund failed, which takes longer than a second.
        before = previous.get("amount_refunded")
        if before is None:
            return [str(native["amount_refunded"]), str(created)]
        if type(before) is not int:
            return None
        return [f"{before}-{native['amount_refunded']}", str(created)]
    if kind == "payment.failed":
        # Each attempt has its own charge, but `latest_charge` may be that of an earlier attempt.
        charge = id_of(at(native, "last_payment_error", "charge"))
        return [charge] if charge else None
    if kind == "invoice.paid" and type(native.get("amount_paid")) is int:
        return [str(native["amount_paid"]), str(created)]
    # No key: two updates may fall in one second, and manual attempts leave `attempt_count` as is.
    return None
