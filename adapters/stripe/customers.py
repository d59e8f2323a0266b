"""Customers: found by e-mail address, updated, or made when there is none.

Stripe lets any number of customers share an address. The oldest one is ours to update, so that
whoever looks later picks the same. The key under which one is made is derived from the address:
two deliveries that find nobody at the same time meet in Stripe's idempotency store, and the later
one updates what the earlier one made. What remains: others who make customers (Checkout, people,
other software) in the moment between our look and our call; addresses that Stripe has in another
mixture of capitals than we were given, or all small.

An update leaves no stamp: it would change the customer each time, Stripe would tell us, and a
route from `customer.changed` to here would never end.
"""

from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from typing import Any

from marshmallow import Schema, fields

from adapters.contract.fields import email_address
from adapters.contract.outbound import Call, LookupResult, LookupVerdict, Outcome, Verdict
from adapters.contract.requests import check_email
from adapters.stripe.answers import error_type
from adapters.stripe.api import Api, Listing, Native
from adapters.stripe.metadata import Metadata, asked_metadata, is_ours, stamped
from adapters.stripe.parameters import check_characters

PATH = "/v1/customers"


class UpsertCustomer(Schema):
    """`email`, and what is to be known about its owner; what is empty changes nothing."""

    email = fields.String(required=True, validate=check_email)
    name = fields.String(allow_none=True, validate=check_characters)
    phone = fields.String(allow_none=True, validate=check_characters)
    metadata = Metadata()


def upsert(api: Api, call: Call, parameters: Mapping[str, Any]) -> Outcome:
    """Update the customer of that address, or make one."""
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
    """Tell whether the customer is as the call would have left it."""
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
    """Return the oldest customer of an address, written as given or all in small letters."""
    for address in dict.fromkeys((email, email.lower())):
        oldest: Native | None = None
        for page in api.pages(Listing(PATH, {"email": address})):
            oldest = page[-1]
        if oldest is not None:
            return oldest
    return None


def made_or_found(api: Api, call: Call, parameters: Mapping[str, Any]) -> Native:
    """Return the customer that is made for an address without one, by us or a moment earlier."""
    wanted = _wanted(parameters)
    email = wanted["email"]
    body = {**wanted, "metadata": stamped(parameters, call)}
    answer = api.send(PATH, body, _key_of(email))
    if answer.status == 400 and error_type(answer) == "idempotency_error":
        # Another delivery made one under this key, now or (if there is none left) within a day.
        found = find(api, email)
        return found or api.make(PATH, body, f"{call.key}.customer", lambda: find(api, email))
    return api.settled(answer, lambda: find(api, email))


def _update(api: Api, call: Call, known: Native, wanted: Mapping[str, Any]) -> Outcome:
    path = f"{PATH}/{known['id']}"
    changes = {name: value for name, value in wanted.items() if name != "email"}

    def read_back() -> Native | None:
        native = api.read(path)
        return native if _is_in_place(native, wanted) else None

    if _is_in_place(known, wanted):
        return Outcome(Verdict.SUCCEEDED, status=200, provider_ref=known["id"])
    native = api.make(path, changes, f"{call.key}.update", read_back)
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
