"""Event summaries: one sentence per event type, such as "Jane Doe paid $42.00"."""

from collections.abc import Mapping, Sequence
from typing import Any

from hub.core.errors import ExpressionError
from hub.core.expressions.filters import money

SENTENCES: Mapping[str, str] = {
    "lead.submitted": "{who} asked to be contacted",
    "payment.succeeded": "{who} paid {amount}",
    "payment.failed": "{who} could not pay {amount}{reason}",
    "payment.refunded": "{who} got {amount} back",
    "payment.disputed": "{who} disputes a payment of {amount}{reason}",
    "checkout.completed": "{who} completed a checkout of {amount}",
    "checkout.expired": "{who} left a checkout of {amount} unfinished",
    "invoice.paid": "{who} paid the invoice{number} of {amount}",
    "invoice.payment_failed": "The invoice{number} of {amount} to {who} could not be paid{reason}",
    "subscription.started": "{who} started a subscription{plan}",
    "subscription.changed": "The subscription{plan} of {who} changed{status}",
    "subscription.ended": "The subscription{plan} of {who} ended",
    "customer.created": "{who} became a customer",
    "customer.changed": "The customer {who} changed",
    "customer.deleted": "The customer {who} was deleted",
    "email.processed": "An e-mail to {who} was taken for sending",
    "email.delivered": "An e-mail to {who} was delivered",
    "email.deferred": "An e-mail to {who} has to wait{reason}",
    "email.bounced": "An e-mail to {who} bounced{reason}",
    "email.dropped": "An e-mail to {who} was not sent{reason}",
    "email.opened": "{who} opened an e-mail",
    "email.clicked": "{who} clicked a link in an e-mail",
    "email.spam_reported": "{who} reported an e-mail as spam",
    "email.unsubscribed": "{who} unsubscribed from e-mails",
    "email.resubscribed": "{who} subscribed to e-mails again",
    "email.received": "{sender} wrote an e-mail{subject}",
    "sms.received": "{sender} sent a text message",
    "sms.queued": "A text message to {recipient} waits at the provider",
    "sms.sent": "A text message to {recipient} was sent",
    "sms.delivered": "A text message to {recipient} arrived",
    "sms.undelivered": "A text message to {recipient} did not arrive{reason}",
    "sms.failed": "A text message to {recipient} could not be sent{reason}",
    "sms.opted_out": "{sender} wants no more text messages",
    "sms.opted_in": "{sender} wants text messages again",
    "sms.read": "{recipient} read a message",
    "call.received": "{sender} called",
    "call.ended": "A call with {sender} ended{status}",
    "contact.created": "The contact {who} was created",
    "contact.changed": "The contact {who} changed",
    "contact.deleted": "The contact {who} was deleted",
    "deal.created": "A deal{name} of {amount} was created",
    "deal.changed": "The deal{name} of {amount} changed{status}",
    "order.created": "{who} ordered for {amount}",
    "order.paid": "{who} paid an order of {amount}",
    "order.cancelled": "The order of {who} of {amount} was cancelled",
    "booking.created": "{who} booked an appointment",
    "booking.cancelled": "The appointment of {who} was cancelled",
}

LONGEST_PART = 80
UNKNOWN_AMOUNT, NOBODY_KNOWN = "an unknown amount", "somebody"

# Fields that name the person of a placeholder, in order of preference.
_PEOPLE: Mapping[str, Sequence[str]] = {
    "who": ("name", "email", "phone"),
    "sender": ("name", "from", "phone", "email"),
    "recipient": ("name", "to", "phone", "email"),
}

# Optional parts of a sentence, with their formats; left out if the event has no such field.
_TAILS: Mapping[str, str] = {
    "reason": ": {}", "status": ": {}", "number": " {}", "plan": " “{}”", "subject": ": “{}”",
    "name": " “{}”",
}  # fmt: skip


def sentence(event_type: str, native_type: str, data: Mapping[str, Any]) -> str:
    """Return the summary of an event; a type without a sentence keeps its provider's name for it.

    The summary may contain any value of `data`: redact it first for a user who may not see
    personal data.
    """
    template = SENTENCES.get(event_type)
    if template is None:
        provider, _, _ = event_type.partition(".")
        return f"{_part(provider.replace('_', ' ')).capitalize()} told: {_part(native_type)}"
    told = template.format_map(_Values(data)).replace(f" of {UNKNOWN_AMOUNT}", "")
    return f"S{told[1:]}" if told.startswith(NOBODY_KNOWN) else told


class _Values(dict[str, str]):
    """Placeholder values of a sentence, computed only when used: a page has many sentences."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        super().__init__()
        self._data = data

    def __missing__(self, name: str) -> str:
        if name in _PEOPLE:
            return _first(self._data, *_PEOPLE[name]) or NOBODY_KNOWN
        return _amount(self._data) if name == "amount" else _tail(self._data, name, _TAILS[name])


def _first(data: Mapping[str, Any], *fields: str) -> str | None:
    for name in fields:
        value = data.get(name)
        value = value[0] if isinstance(value, list) and value else value
        if isinstance(value, str) and value.strip():
            return _part(value)
    return None


def _tail(data: Mapping[str, Any], field: str, form: str) -> str:
    found = _first(data, field)
    return form.format(found) if found else ""


def _amount(data: Mapping[str, Any]) -> str:
    minor, currency = data.get("amount"), data.get("currency")
    try:
        return money(minor, currency)
    except ExpressionError:  # no amount, or an unknown currency
        return UNKNOWN_AMOUNT


def _part(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= LONGEST_PART else f"{text[: LONGEST_PART - 1]}…"
