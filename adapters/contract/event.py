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

_PERSON: Mapping[str, str] = {
    "email": "the e-mail address of the person, its domain in lower case",
    "phone": "the person's telephone number in E.164 (`+12025550123`); absent without its country",
    "name": "the person's name",
}
_MONEY: Mapping[str, str] = {
    "amount": "an integer in the minor unit of `currency` (`1050` is 10.50 USD)",
    "currency": "the ISO 4217 code of `amount`",
}
_PAYMENT: Mapping[str, str] = {
    **_MONEY,
    **_PERSON,
    "customer_id": "the provider's id of the customer",
    "object_id": "the provider's id of the payment, invoice or checkout",
    "number": "the invoice number that the customer sees",
    "reason": "the provider's reason or payment status, as one of its own codes",
    "url": "the page where the customer sees the receipt, pays or goes on",
    "metadata": "the object of keys and texts that the account attached at the provider",
}
_CUSTOMER: Mapping[str, str] = {
    "customer_id": "the provider's id of the customer",
    **_PERSON,
    "status": "the provider's status of the subscription or customer",
    "plan": "the name of the price: its lookup key, nickname or id",
    **_MONEY,
    "period_end_at": "the end of the period that is paid for",
    "changed": "the list of the provider's fields that changed",
}
_EMAIL: Mapping[str, str] = {
    "email": "the address that the e-mail went to; of a received one, the sender's",
    "message_id": "the id of the message: the provider's, or the `Message-ID` of a received one",
    "reason": "the answer of the far mail server, or why nothing was sent",
    "kind": "the kind of bounce: `hard`, `soft` or `blocked`",
    "url": "the link that was clicked",
    "machine": "`true` if a mail program opened it on its own",
    "delivery_id": "the id of the hub's delivery that sent it",
    "from": "received: the address in its `From` header",
    "to": "received: the list of addresses that it was sent to",
    "subject": "received: the subject",
    "text": "received: the plain text",
    "html": "received: the HTML, as it came",
    "attachments": "received: a list of `name`, `content_type` and `size`",
}
_TALK: Mapping[str, str] = {
    "from": "the telephone number of the sender or caller, E.164",
    "to": "the telephone number of the recipient, E.164",
    "channel": "the channel: `sms`, `mms`, `whatsapp`, `rcs` or `voice`",
    "direction": "`in` or `out`",
    "reply_to": "the address to send an answer to, so that it takes the same channel",
    "body": "the text of the message",
    "media": "a list of `url` and `content_type`; to fetch one takes the account's credentials",
    "message_id": "the provider's id of the message or call",
    "status": "the provider's status of the message or call",
    "error_code": "the provider's code of what went wrong, as a text",
    "duration_s": "the length of the call in seconds",
    "digits": "the digits that the caller pressed",
    "recording_url": "the address of the recording",
    "transcription": "the text of what was said",
    "delivery_id": "the id of the hub's delivery that sent it",
}
_RECORD: Mapping[str, str] = {
    "object_id": "the provider's id of the contact, deal, order or booking",
    **_PERSON,
    "name": "the name of the person; of a deal, its own name",
    **_MONEY,
    "status": "the provider's status; `cancelled` of a cancelled order or booking",
    "starts_at": "the start of the booking",
    "ends_at": "the end of the booking",
    "items": "a list of what was ordered or booked: `name`, `quantity` and `sku`, where given",
    "changed": "the list of the provider's fields that changed",
}

# The fields that `data` of a canonical type may hold, by the subject of the type; each with what
# it is. A field that the provider did not give is absent. docs/events.md is written from this.
FAMILIES: Mapping[str, Mapping[str, str]] = {
    "lead": {
        **_PERSON,
        "message": "the text that the person wrote",
        "fields": "an object of all declared fields of the form, as they were filled in",
        "page": "the address of the page with the form",
        "referrer": "the address of the page that the visitor came from",
        "utm": "an object of the campaign: `source`, `medium`, `campaign`, `term`, `content`",
        "consent": "an object: `given`, the `text` that was shown, and the time `at`",
        "attachments": "a list of `name`, `content_type` and `size`",
    },
    **dict.fromkeys(("payment", "invoice", "checkout"), _PAYMENT),
    **dict.fromkeys(("subscription", "customer"), _CUSTOMER),
    "email": _EMAIL,
    **dict.fromkeys(("sms", "call", "voicemail"), _TALK),
    **dict.fromkeys(("contact", "deal", "order", "booking"), _RECORD),
}
# The fields that `data` of any type may hold beside those of its family.
COMMON_FIELDS: Mapping[str, str] = {
    **_PERSON,
    "account": "the connected account at the provider that it happened in, where there are several",
    "delivery_id": "the id of the hub's delivery that the event is about",
    "hub_attempt": "the token that the hub sent along with that delivery, come back",
    "native": "the provider's own object, unchanged",
}


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that came with an event. `name` is safe to save under: no path, never empty."""

    name: str
    content_type: str
    content: bytes = field(repr=False)


# Span for which a fact key counts if nothing that is signed tells a replay from a second event.
UNTIMED_WINDOW_S = 300


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened, in the hub's words.

    `external_id` is the provider's own id, unchanged (1 to 255 printable ASCII characters).
    `fact_key` names the same fact where the provider may report it under two ids. It counts for
    as long as keys are kept or, with `fact_window_s`, for so many seconds: then the same fact key
    under another id is a new event. Such an event is the only one of its request, and its window
    follows from what its key is made of, so that no other request can take the key away.
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
    fact_window_s: int | None = None
    fingerprint: bytes = b""
    incomplete: bool = False
    fetch: Mapping[str, Any] | None = None
    echo: bool = False
    attachments: Sequence[Attachment] = ()
