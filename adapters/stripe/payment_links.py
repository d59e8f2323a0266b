"""Payment links: URLs at which any visitor can pay a price.

A link's metadata is copied to the checkouts that start from it, so `checkout.completed` identifies
the delivery that created the link. The URL itself arrives with the event `payment_link.created`
(`data.native.url`); Stripe also shows it under the link's id.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from marshmallow import Schema, ValidationError, fields, validates_schema

from adapters.contract.outbound import Call, LookupResult, Outcome, Verdict
from adapters.stripe import parameters as given
from adapters.stripe.api import Api, Listing, Native
from adapters.stripe.metadata import Metadata, find, lookup_result, stamped
from adapters.stripe.money import stripe_amount

LINKS = Listing(lambda v1: v1.payment_links.list)


class CreatePaymentLink(Schema):
    """Parameters: either a Stripe `price`, or `amount`, `currency` and `description` of an item."""

    price = fields.String(validate=given.check_id("price", "plan"))
    amount = given.amount()
    currency = given.currency()
    description = given.description()
    quantity = given.quantity()
    metadata = Metadata()

    @validates_schema
    def check_what_is_sold(self, data: Mapping[str, Any], **_: Any) -> None:
        """Validate that the item is given in exactly one of the two ways."""
        named = {"amount", "currency", "description"} & set(data)
        if "price" in data:
            if named:
                raise ValidationError("give either price, or amount, currency and description")
        elif len(named) < 3:
            raise ValidationError("give amount, currency and description, or a price")


def create(api: Api, call: Call, parameters: Mapping[str, Any]) -> Outcome:
    """Create a link; `provider_ref` is its id."""
    line = {**_thing(parameters), "quantity": parameters["quantity"]}
    body = {"line_items": [line], "metadata": stamped(parameters, call)}

    def read_back() -> Native | None:
        return find(api, LINKS, call)[0]

    native = api.make(api.v1.payment_links.create, body, call.key, read_back)
    return Outcome(Verdict.SUCCEEDED, status=200, provider_ref=native["id"])


def look_up(
    api: Api, call: Call, _parameters: Mapping[str, Any], _sent_at: datetime
) -> LookupResult:
    """Look up whether the link was created, among the newest: links have no creation time."""
    return lookup_result(find(api, LINKS, call), "payment link")


def _thing(parameters: Mapping[str, Any]) -> dict[str, Any]:
    if "price" in parameters:
        return {"price": parameters["price"]}
    code = parameters["currency"]
    return {
        "price_data": {
            "currency": code.lower(),
            "product_data": {"name": parameters["description"]},
            "unit_amount": stripe_amount(parameters["amount"], code),
        }
    }
