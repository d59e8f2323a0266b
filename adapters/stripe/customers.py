"""Customers: looked up by e-mail address, then updated or created.

Stripe lets any number of customers share an address. The hub updates the oldest one, so that every
later look-up picks the same. The idempotency key of a creation is derived from the address: two
deliveries that find no customer at the same time meet in Stripe's idempotency store, and the later
one updates the customer that the earlier one created. Two gaps remain: other writers (Checkout,
people, other software) that create a customer between the hub's look-up and its call; and addresses
that Stripe has in a mixture of capitals that is neither the given one nor all lower case.

An update leaves no stamp: the stamp would change the customer each time, Stripe would send an event
for that, and a route from `customer.changed` to this action would loop forever.
"""

from collections import deque
from collections.abc import Mapping
from datetime import datetime
from functools import partial
from hashlib import sha256
from typing import Any

from marshmallow import Schema, fields

from adapters.contract.fields import email_address
from adapters.contract.outbound import Call, LookupResult, LookupVerdict, Outcome, Verdict
from adapters.contract.requests import check_email
from adapters.stripe.api import Api, Listing, Native, Unfinished
from adapters.stripe.metadata import Metadata, asked_metadata, is_ours, stamped
from adapters.stripe.parameters import check_characters


class UpsertCustomer(Schema):
    """Parameters: `email`, and the customer's details; empty values change nothing."""

    email = fields.String(required=True, validate=check_email)
    name = fields.String(allow_none=True, validate=check_characters)
    phone = fields.String(allow_none=True, validate=check_characters)
    metadata = Metadata()


def upsert(api: Api, call: Call, parameters: Mapping[str, Any]) -> Outcome:
    """Update the customer with that e-mail address, or create one."""
    wanted = _wanted(parameters)
    known = find(api, wanted["email"])
    if known is None:
        native = made_or_found(api, call, parameters)
        if is_ours(native, call) or _is_in_place(native, wanted):
            return Outcome(Verdict.SUCCEEDED, status=200, provider_ref=native["id"])
        known = native
    elif is_ours(known, call):
        return Outcome(Verdict.SUCCEEDED, status=200, provider_ref=known["id"])
    return _update(api, call, known, wanted)


def look_up(
    api: Api, call: Call, parameters: Mapping[str, Any], _sent_at: datetime
) -> LookupResult:
    """Look up whether the customer is in the state that the call would have left."""
    wanted = _wanted(parameters)
    known = find(api, wanted["email"])
    if known is None:
        return LookupResult(LookupVerdict.NOT_THERE, "Stripe has no customer of that address")
    if is_ours(known, call) or _is_in_place(known, wanted):
        return LookupResult(
            LookupVerdict.THERE, f"Stripe has the customer {known['id']} as asked for", known["id"]
        )
    return LookupResult(LookupVerdict.NOT_THERE, f"the customer {known['id']} is not as asked for")


def find(api: Api, email: str) -> Native | None:
    """Return the oldest customer with an address, as given or in lower case, or None."""
    for address in dict.fromkeys((email, email.lower())):
        listing = Listing(lambda v1: v1.customers.list, {"email": address})
        oldest = deque(api.objects(listing), maxlen=1)
        if oldest:
            return oldest[0]
    return None


def made_or_found(api: Api, call: Call, parameters: Mapping[str, Any]) -> Native:
    """Create the customer of an address, or return one that was created a moment earlier."""
    wanted = _wanted(parameters)
    email = wanted["email"]
    body = {**wanted, "metadata": stamped(parameters, call)}
    create, read_back = api.v1.customers.create, partial(find, api, email)
    try:
        return api.make(create, body, _key_of(email), read_back)
    except Unfinished as stop:
        if not stop.key_is_taken:
            raise
    # Another delivery created one under this key: just now or, if it is gone, within a day.
    return read_back() or api.make(create, body, f"{call.key}.customer", read_back)


def _update(api: Api, call: Call, known: Native, wanted: Mapping[str, Any]) -> Outcome:
    customer_id = known["id"]
    changes = {name: value for name, value in wanted.items() if name != "email"}

    def read_back() -> Native | None:
        native = api.read(api.v1.customers.retrieve, customer_id)
        return native if _is_in_place(native, wanted) else None

    if _is_in_place(known, wanted):
        return Outcome(Verdict.SUCCEEDED, status=200, provider_ref=customer_id)
    update = partial(api.v1.customers.update, customer_id)
    native = api.make(update, changes, f"{call.key}.update", read_back)
    return Outcome(Verdict.SUCCEEDED, status=200, provider_ref=native["id"])


def _wanted(parameters: Mapping[str, Any]) -> dict[str, Any]:
    texts = {name: (parameters.get(name) or "").strip() for name in ("name", "phone")}
    address = email_address(parameters["email"]) or parameters["email"].strip()
    metadata = asked_metadata(parameters)
    return {
        "email": address,
        **{name: text for name, text in texts.items() if text},
        **({"metadata": metadata} if metadata else {}),
    }


def _is_in_place(native: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    has = native.get("metadata")
    metadata = has if isinstance(has, dict) else {}
    return all(
        native.get(name) == wanted[name] for name in ("name", "phone") if name in wanted
    ) and (all(metadata.get(name) == text for name, text in wanted.get("metadata", {}).items()))


def _key_of(email: str) -> str:
    return f"hub_customer.{sha256(email.encode()).hexdigest()}"
