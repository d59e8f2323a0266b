"""The canonical event, and the closed vocabulary of its types (`<provider>.<native>` beside it)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

EVENT_TYPES = frozenset(
    """
    lead.submitted
    payment.succeeded payment.failed payment.refunded payment.disputed
    checkout.completed checkout.expired invoice.paid invoice.payment_failed
    subscription.started subscription.changed subscription.ended
    customer.created customer.changed customer.deleted
    email.processed email.delivered email.deferred email.bounced email.dropped email.opened
    email.clicked email.spam_reported email.unsubscribed email.resubscribed email.received
    sms.received sms.queued sms.sent sms.delivered sms.undelivered sms.failed
    sms.opted_out sms.opted_in sms.read
    call.received call.ended
    contact.created contact.changed contact.deleted deal.created deal.changed
    order.created order.paid order.cancelled booking.created booking.cancelled
    """.split()
)


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that came with an event. `name` is safe to save under: no path, never empty."""

    name: str
    content_type: str
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened, in the hub's words.

    `external_id` is the provider's own id, unchanged (1 to 255 printable ASCII characters).
    `fact_key` names the same fact where the provider may report it under two ids.
    `data` holds the canonical fields of the type's family: a field that the provider did not give
    is absent; money is an integer in the ISO 4217 minor unit beside `currency`; the provider's own
    object is under `native`. `fingerprint` is a digest of what must not differ between two
    deliveries of this event (volatile fields left out). `incomplete`: must be fetched before it
    can be matched; `fetch` are the parameters of the account's action `fetch` that does it.
    `echo`: our own doing told back to us; it is kept, and no route matches it. `attachments` are
    listed in `data` too, without their content. `occurred_at` is aware UTC.
    """

    type: str
    native_type: str
    external_id: str
    occurred_at: datetime
    data: Mapping[str, Any] = field(default_factory=dict)
    live: bool = True
    fact_key: str | None = None
    fingerprint: bytes = b""
    incomplete: bool = False
    fetch: Mapping[str, Any] | None = None
    echo: bool = False
    attachments: Sequence[Attachment] = ()
