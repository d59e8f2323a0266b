"""Invoices that Stripe sends by e-mail, created in four steps with idempotency keys of their own.

The steps: create the invoice (a draft), add its items, finalize, send. Their keys are
`<key>.invoice`, `<key>.item1` ..., `<key>.finalize` and `<key>.send`. A retry runs from the start;
steps that were done are answered from Stripe's idempotency store, so it continues with the draft
of the first attempt. `auto_advance` is off: an invoice that could not be finished bills no
customer.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from adapters.contract.errors import AnswerLost, NotSent
from adapters.contract.mailboxes import check_address
from adapters.contract.outbound import Call, LookupResult, LookupVerdict, Outcome, Verdict
from adapters.stripe import customers
from adapters.stripe import parameters as given
from adapters.stripe.api import Api, Listing, Native, Unfinished
from adapters.stripe.metadata import Metadata, created_since, find, is_ours, lookup_result, stamped
from adapters.stripe.money import stripe_amount

# The limit exists because all calls of one action share the destination's `timeout`.
MOST_ITEMS = 50
# Metadata key of an invoice item; its value is the number of the line: 1, 2, ...
ITEM = "hub_item"

_INVOICES_A_PAGE = 25


class _Item(Schema):
    """Line of an invoice: `amount` is the price of one unit."""

    description = given.description(required=True)
    amount = given.amount(required=True)
    currency = given.currency(required=True)
    quantity = given.quantity()


class SendInvoice(Schema):
    """Parameters: a `customer` or an `email`; and `items`, or the parameters of a single line."""

    customer = fields.String(validate=given.check_id("cus"))
    email = fields.String(validate=check_address)
    items = fields.List(fields.Nested(_Item), validate=validate.Length(1, MOST_ITEMS))
    description = given.description()
    amount = given.amount()
    currency = given.currency()
    days_until_due = fields.Integer(
        strict=True, load_default=30, validate=validate.Range(min=0, max=3650)
    )
    metadata = Metadata()

    @validates_schema
    def check_whom_and_what(self, data: Mapping[str, Any], **_: Any) -> None:
        """Validate that there is one recipient, and that all lines have one currency."""
        if ("customer" in data) == ("email" in data):
            raise ValidationError("give either customer or email")
        single = {"amount", "currency", "description"} & set(data)
        if "items" in data:
            if single:
                raise ValidationError("give either items, or amount, currency and description")
            if len({item["currency"] for item in data["items"]}) > 1:
                raise ValidationError("all items of an invoice have one currency")
        elif len(single) < 3:
            raise ValidationError("give items, or amount, currency and description")


def send(api: Api, call: Call, parameters: Mapping[str, Any]) -> Outcome:
    """Create the invoice and send it; `provider_ref` is its id."""
    lines = [_line(item) for item in _items(parameters)]
    customer_id = _customer_id(api, call, parameters)
    invoice = _draft(api, call, parameters, customer_id)
    try:
        _finish(api, call, invoice, [{"customer": customer_id, **line} for line in lines])
    except Unfinished as stop:
        raise Unfinished(_partly(stop.outcome, invoice["id"])) from None
    except NotSent as error:
        raise AnswerLost(f"the invoice {invoice['id']} was begun, then: {error}") from error
    return Outcome(Verdict.SUCCEEDED, status=200, provider_ref=invoice["id"])


def look_up(
    api: Api, call: Call, _parameters: Mapping[str, Any], sent_at: datetime
) -> LookupResult:
    """Look up whether the invoice was sent. A draft was not sent, and bills no customer."""
    found = find(api, _listing(created_since(sent_at)), call)
    invoice = found[0]
    if invoice is None:
        return lookup_result(found, "invoice")
    ref, status = str(invoice.get("id")), str(invoice.get("status"))
    if status == "draft":
        return LookupResult(
            LookupVerdict.NOT_THERE, f"the invoice {ref} is a draft that was never sent"
        )
    if _sent(api, invoice) is not None:
        return LookupResult(LookupVerdict.THERE, f"Stripe has sent the invoice {ref}", ref, status)
    words = (
        f"the invoice {ref} is {status}, but Stripe does not tell that it was sent: send it there"
    )
    return LookupResult(LookupVerdict.CANNOT_TELL, words, ref, status)


def _customer_id(api: Api, call: Call, parameters: Mapping[str, Any]) -> str:
    if "customer" in parameters:
        return str(parameters["customer"])
    email = parameters["email"].strip()
    known = customers.find(api, email)
    known = known or customers.made_or_found(api, call, {"email": email})
    return str(known["id"])


def _draft(api: Api, call: Call, parameters: Mapping[str, Any], customer_id: str) -> Native:
    body = {
        "customer": customer_id,
        "collection_method": "send_invoice",
        "days_until_due": parameters["days_until_due"],
        "currency": _items(parameters)[0]["currency"].lower(),
        "auto_advance": False,
        "pending_invoice_items_behavior": "exclude",
        "metadata": stamped(parameters, call),
    }
    create, newest = api.v1.invoices.create, _listing({"customer": customer_id})
    invoice = api.make(create, body, f"{call.key}.invoice", lambda: find(api, newest, call)[0])
    if "customer_email" in invoice and not invoice["customer_email"]:
        words = f"the customer {customer_id} has no e-mail address to send an invoice to"
        raise Unfinished(_partly(Outcome(Verdict.PERMANENT, words, status=200), invoice["id"]))
    return invoice


def _finish(api: Api, call: Call, invoice: Native, lines: list[dict[str, Any]]) -> None:
    ref = invoice["id"]
    for place, line in enumerate(lines, start=1):
        body = {**line, "invoice": ref, "metadata": {ITEM: str(place), **stamped({}, call)}}
        seen = partial(_item_seen, api, call, ref, place)
        api.make(api.v1.invoice_items.create, body, f"{call.key}.item{place}", seen)
    finalize = partial(api.v1.invoices.finalize_invoice, ref)
    finalized = partial(_finalized, api, ref)
    api.make(finalize, {"auto_advance": False}, f"{call.key}.finalize", finalized)
    send_it, sent = partial(api.v1.invoices.send_invoice, ref), partial(_sent, api, invoice)
    api.make(send_it, {}, f"{call.key}.send", sent)


def _item_seen(api: Api, call: Call, ref: str, place: int) -> Native | None:
    for item in api.objects(Listing(lambda v1: v1.invoice_items.list, {"invoice": ref})):
        if is_ours(item, call) and item["metadata"].get(ITEM) == str(place):
            return item
    return None


def _finalized(api: Api, ref: str) -> Native | None:
    invoice = api.read(api.v1.invoices.retrieve, ref)
    return invoice if invoice.get("status") not in (None, "draft") else None


def _sent(api: Api, invoice: Native) -> Native | None:
    """Return the `invoice.sent` event, or None: the invoice itself does not record the sending."""
    created = invoice.get("created")
    since = {"created": {"gte": created}} if type(created) is int else {}
    filters = {"type": "invoice.sent", **since}
    for event in api.objects(Listing(lambda v1: v1.events.list, filters, _INVOICES_A_PAGE)):
        data = event.get("data")
        native = data.get("object") if isinstance(data, dict) else None
        if isinstance(native, dict) and native.get("id") == invoice["id"]:
            return event
    return None


def _listing(filters: Mapping[str, Any]) -> Listing:
    return Listing(lambda v1: v1.invoices.list, filters, _INVOICES_A_PAGE)


def _partly(outcome: Outcome, ref: str) -> Outcome:
    """Return the outcome of a step after the first, when the invoice already exists in Stripe."""
    if outcome.verdict is Verdict.NOT_PROCESSED:
        return replace(outcome, verdict=Verdict.IN_DOUBT, provider_ref=ref)
    if outcome.verdict is Verdict.PERMANENT:
        words = f"{outcome.message}; the invoice {ref} stays behind unsent: delete or void it"
        return replace(outcome, message=words, provider_ref=ref)
    return outcome


def _items(parameters: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    single = {name: parameters.get(name) for name in ("description", "amount", "currency")}
    items: list[Mapping[str, Any]] = parameters.get("items") or [{**single, "quantity": 1}]
    return items


def _line(item: Mapping[str, Any]) -> dict[str, Any]:
    each = stripe_amount(item["amount"], item["currency"])
    line = {"currency": item["currency"].lower(), "description": item["description"]}
    if item["quantity"] == 1:
        return {**line, "amount": each}
    return {**line, "unit_amount_decimal": str(each), "quantity": item["quantity"]}
