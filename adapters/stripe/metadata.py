"""Metadata stamp on every object that the hub creates in Stripe, and look-up by that stamp.

`metadata[hub_delivery]` is the delivery's key. Lists are read instead of Stripe's search, which
lags behind by up to a minute (https://docs.stripe.com/search#data-freshness).
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from marshmallow import ValidationError, fields

from adapters.contract.outbound import Call, LookupResult, LookupVerdict
from adapters.stripe.api import Api, Listing, ListTooLong, Native
from adapters.stripe.parameters import check_characters
from adapters.stripe.payload_access import STAMP

PAGES_AT_MOST = 20
# Tolerated clock difference: how far Stripe's clock may be behind the hub's.
EARLIER = timedelta(minutes=10)

# Stripe accepts 50 keys, one of which is the stamp.
_KEYS = 49
_KEY_LENGTH, _VALUE_LENGTH = 40, 500


def check_metadata(metadata: Mapping[str, object]) -> None:
    """Validate metadata against Stripe's limits (a marshmallow validator).

    Raises:
        ValidationError: there are too many keys, or a key or a value is not accepted; an error of
            a value names its key.
    """
    if len(metadata) > _KEYS:
        raise ValidationError(f"has more than {_KEYS} keys")
    for key, value in metadata.items():
        if not 0 < len(key) <= _KEY_LENGTH or "[" in key or "]" in key:
            raise ValidationError(f"a key has 1 to {_KEY_LENGTH} characters and no brackets")
        if key == STAMP:
            raise ValidationError(f"{STAMP} is the hub's own")
        if not isinstance(value, str | int | float | None):
            raise ValidationError(f"{key}: expected a text, a number, true or false")
        if len(_text(value)) > _VALUE_LENGTH:
            raise ValidationError(f"{key}: is longer than {_VALUE_LENGTH} characters")
        check_characters(key + _text(value))


class Metadata(fields.Dict):
    """Field for a mapping of texts, numbers and booleans."""

    def __init__(self) -> None:
        super().__init__(
            keys=fields.String(), values=fields.Raw(allow_none=True), validate=check_metadata
        )


def asked_metadata(parameters: Mapping[str, Any]) -> dict[str, str]:
    """Return the requested metadata without empty values, which would erase existing ones."""
    texts = {name: _text(value) for name, value in parameters.get("metadata", {}).items()}
    return {name: text for name, text in texts.items() if text.strip()}


def stamped(parameters: Mapping[str, Any], call: Call) -> dict[str, str]:
    """Return the metadata of an object that this call creates, with the stamp."""
    return {**asked_metadata(parameters), STAMP: call.key}


def is_ours(native: Mapping[str, Any], call: Call) -> bool:
    """Return whether an object has this delivery's stamp."""
    metadata = native.get("metadata")
    return isinstance(metadata, dict) and metadata.get(STAMP) == call.key


def find(api: Api, listing: Listing, call: Call) -> tuple[Native | None, bool]:
    """Return the object with this delivery's stamp, or None, and whether the result is certain.

    The second value is False if the first `PAGES_AT_MOST` pages do not have the object: the rest
    of the list was not read.
    """
    found = api.objects(replace(listing, pages_at_most=PAGES_AT_MOST))
    try:
        return next((one for one in found if is_ours(one, call)), None), True
    except ListTooLong:
        return None, False


def lookup_result(found: tuple[Native | None, bool], what: str) -> LookupResult:
    """Return the look-up result of a search for `what` ("refund")."""
    native, whole = found
    if native is not None:
        ref = str(native.get("id"))
        return LookupResult(
            LookupVerdict.THERE, f"Stripe has the {what} {ref}", ref, _status(native)
        )
    if whole:
        return LookupResult(LookupVerdict.NOT_THERE, f"Stripe has no {what} of this delivery")
    return LookupResult(
        LookupVerdict.CANNOT_TELL,
        f"this delivery's {what} is not among the newest that Stripe lists",
    )


def created_since(sent_at: datetime) -> dict[str, Any]:
    """Return the list filter for objects created since `sent_at`, less the clock difference."""
    return {"created": {"gte": int((sent_at - EARLIER).timestamp())}}


def _status(native: Mapping[str, Any]) -> str | None:
    status = native.get("status")
    return status if isinstance(status, str) else None


def _text(value: object) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)
