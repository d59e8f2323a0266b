"""Refunds of a payment, in full or in part.

Equal partial refunds of one payment are legitimate, so only the idempotency key and the metadata
stamp distinguish a retry from a second refund.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from adapters.contract.answers import safe_words
from adapters.contract.fields import text
from adapters.contract.outbound import Call, LookupResult, Outcome, Verdict
from adapters.stripe import parameters as given
from adapters.stripe.api import Api, Listing, Native, Unfinished
from adapters.stripe.metadata import Metadata, find, lookup_result, stamped
from adapters.stripe.money import stripe_amount

REASONS = ("duplicate", "fraudulent", "requested_by_customer")
_UNDONE = frozenset({"failed", "canceled"})


class Refund(Schema):
    """Parameters: `amount` in the minor unit of the payment's currency; default: the remainder."""

    payment_intent = fields.String(validate=given.check_id("pi"))
    charge = fields.String(validate=given.check_id("ch", "py"))
    amount = given.amount()
    reason = fields.String(validate=validate.OneOf(REASONS))
    metadata = Metadata()

    @validates_schema
    def check_what_is_refunded(self, data: Mapping[str, Any], **_: Any) -> None:
        """Validate that exactly one payment is named."""
        if ("payment_intent" in data) == ("charge" in data):
            raise ValidationError("give either payment_intent or charge")


def refund(api: Api, call: Call, parameters: Mapping[str, Any]) -> Outcome:
    """Refund a payment; `provider_ref` is the refund's id."""
    body = {**_payment(parameters), "metadata": stamped(parameters, call)}
    if "amount" in parameters:
        body["amount"] = _stripe_amount(api, parameters)
    if "reason" in parameters:
        body["reason"] = parameters["reason"]

    def read_back() -> Native | None:
        return find(api, _listing(parameters), call)[0]

    try:
        native = api.make(api.v1.refunds.create, body, call.key, read_back)
    except Unfinished as stop:
        # `charge_already_refunded`, or more than is left: an earlier attempt of this delivery may
        # be the cause.
        is_refused = stop.outcome.status == 400 and not stop.key_is_taken
        ours = read_back() if is_refused else None
        if ours is None:
            raise
        native = ours
    return _outcome(native)


def look_up(
    api: Api, call: Call, parameters: Mapping[str, Any], _sent_at: datetime
) -> LookupResult:
    """Look up whether the refund was created."""
    return lookup_result(find(api, _listing(parameters), call), "refund")


def _listing(parameters: Mapping[str, Any]) -> Listing:
    return Listing(lambda v1: v1.refunds.list, _payment(parameters))


def _payment(parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {name: parameters[name] for name in ("payment_intent", "charge") if name in parameters}


def _stripe_amount(api: Api, parameters: Mapping[str, Any]) -> int:
    """Return the amount in Stripe's unit of the payment's currency, which is read from Stripe."""
    (name, payment_id), *_ = _payment(parameters).items()
    payments = api.v1.charges if name == "charge" else api.v1.payment_intents
    payment = api.read(payments.retrieve, payment_id)
    code = text(payment.get("currency"))
    if code is None:
        sentence = f"Stripe does not say in which currency {payment_id} was paid"
        raise Unfinished(Outcome(Verdict.NOT_PROCESSED, sentence, status=200))
    return stripe_amount(parameters["amount"], code.upper())


def _outcome(native: Mapping[str, Any]) -> Outcome:
    """Return the outcome of a refund: pending is a success, failed or canceled is not."""
    ref, status = str(native["id"]), native.get("status")
    if status not in _UNDONE:
        return Outcome(Verdict.SUCCEEDED, status=200, provider_ref=ref)
    reason = text(native.get("failure_reason"))
    words = f"the refund {ref} is {status}" + (f": {safe_words(reason)}" if reason else "")
    return Outcome(Verdict.PERMANENT, words, status=200, code=reason, provider_ref=ref)
