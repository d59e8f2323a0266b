"""Payment links: an address where anybody may pay a price.

A link's metadata is copied to the checkouts that begin there, so `checkout.completed` tells which
delivery asked for it. The address itself comes with the event `payment_link.created`
(`data.native.url`) and stands at the link's id in Stripe.
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

PATH = "/v1/payment_links"


class CreatePaymentLink(Schema):
    """Either a `price` of Stripe's, or `amount currency description` of a thing to sell."""

    price = fields.String(validate=given.check_id("price", "plan"))
    amount = given.amount()
    currency = given.currency()
    description = given.description()
    quantity = given.quantity()
    metadata = Metadata()

    @validates_schema
    def check_what_is_sold(self, data: Mapping[str, Any], **_: Any) -> None:
        """Accept one of the two ways to say what is sold."""
        named = {"amount", "currency", "description"} & set(data)
        if "price" in data:
            if named:
                raise ValidationError("give either price, or amount, currency and description")
        elif len(named) < 3:
            raise ValidationError("give amount, currency and description, or a price")


def create(api: Api, call: Call, parameters: Mapping[str, Any]) -> Outcome:
    """Make a link; `provider_ref` is its id."""
    line = {**_thing(parameters), "quantity": parameters["quantity"]}
    body = {"line_items": [line], "metadata": stamped(parameters, call)}

    def read_back() -> Native | None:
        return find(api, Listing(PATH), call)[0]

    native = api.make(PATH, body, call.key, read_back)
    return Outcome(Verdict.SUCCEEDED, status=200, provider_ref=native["id"])


def look_up(
    api: Api, call: Call, _parameters: Mapping[str, Any], _sent_at: datetime
) -> LookupResult:
    """Tell whether the link was made. Links do not say when they were, so the newest are read."""
    return lookup_result(find(api, Listing(PATH), call), "payment link")


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
