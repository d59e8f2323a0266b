"""Form parsing for Twilio: fields by name, validated ids, times and telephone numbers."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from hashlib import sha256
from typing import Any

from adapters.contract.errors import Unreadable
from adapters.contract.fields import phone_e164
from adapters.contract.form_bodies import read_form
from adapters.twilio.signature import query_values

Form = Mapping[str, str]

_ACCOUNT_SID = re.compile(r"AC[0-9A-Za-z]{32}", re.ASCII)
_STATUS = re.compile(r"[a-z][a-z_-]{0,39}", re.ASCII)
_CHANNEL = re.compile(r"(?:whatsapp|rcs):")
_ADDRESS = re.compile(r"\+?[0-9]{1,15}|[A-Za-z0-9 &_+-]{1,11}|[a-z]+:[!-~]{1,255}", re.ASCII)
_TOKEN = re.compile(
    r"([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})\.[0-9]{1,9}", re.ASCII
)
_NAME_LENGTH = 40


@dataclass(frozen=True, slots=True)
class Fact:
    """Event data as parsed from a request, before it has a canonical type."""

    native_type: str
    external_id: str
    occurred_at: datetime
    data: Mapping[str, Any]
    fingerprint: bytes


def read_fields(body: bytes) -> dict[str, str]:
    """Return the form fields by name; a name that is repeated with one value counts once.

    Raises:
        Unreadable: a name has two values, so the intended one cannot be known.
    """
    fields: dict[str, str] = {}
    for name, value in read_form(body):
        if fields.setdefault(name, value) != value:
            raise Unreadable(f"the parameter {name[:_NAME_LENGTH]!a} has two values")
    return fields


def check_account(form: Form) -> None:
    """Validate that a form names its account.

    Raises:
        Unreadable: AccountSid is missing or malformed.
    """
    if not _ACCOUNT_SID.fullmatch(form.get("AccountSid", "")):
        raise Unreadable("AccountSid must be AC and 32 letters or digits")


def sid(form: Form, name: str, prefixes: str) -> str:
    """Return a Twilio SID: one of the prefixes (`SM|MM`) and 32 hexadecimal digits.

    Raises:
        Unreadable: the field is missing or malformed.
    """
    value = form.get(name, "")
    if not re.fullmatch(rf"(?:{prefixes})[0-9a-fA-F]{{32}}", value, re.ASCII):
        raise Unreadable(f"{name} must be {prefixes} and 32 hexadecimal digits")
    return value


def status(value: str, name: str) -> str:
    """Return a status, even one that is not documented.

    Raises:
        Unreadable: the value is not one word in lower case.
    """
    if not _STATUS.fullmatch(value):
        raise Unreadable(f"{name} must be one word in lower case")
    return value


def check_address(form: Form, name: str) -> None:
    """Validate a number, a short code, a sender's name or an address of a channel.

    Raises:
        Unreadable: the field is missing or anything else.
    """
    if not _ADDRESS.fullmatch(form.get(name, "")):
        raise Unreadable(f"{name} must be a number or an address")


def phone(form: Form, name: str) -> str | None:
    """Return the E.164 number without its channel prefix, or None if it is not such a number."""
    return phone_e164(_CHANNEL.sub("", form.get(name, ""), count=1))


def occurred_at(form: Form, received_at: datetime) -> datetime:
    """Return `Timestamp` (RFC 2822) as aware UTC; messages have none and get the time of receipt.

    Raises:
        Unreadable: the field is not such a time, or not in the years 2000 to 2099.
    """
    value = form.get("Timestamp")
    return utc_from_rfc2822(value, "Timestamp") if value else received_at


def utc_from_rfc2822(value: Any, name: str) -> datetime:
    """Return a time like `Fri, 20 Nov 2026 12:00:00 +0000` as aware UTC, years 2000 to 2099.

    Raises:
        Unreadable: the value is anything else.
    """
    try:
        instant = parsedate_to_datetime(value)
        instant = instant.replace(tzinfo=instant.tzinfo or UTC).astimezone(UTC)
    except (ValueError, IndexError, TypeError, AttributeError, OverflowError):
        raise Unreadable(f"{name} must be a time like Fri, 20 Nov 2026 12:00:00 +0000") from None
    if not 2000 <= instant.year < 2100:
        raise Unreadable(f"{name} is not in the years 2000 to 2099")
    return instant


def token(url: str) -> dict[str, str]:
    """Return `delivery_id` and `hub_attempt`, if the URL of a status callback carries a token."""
    found = query_values(url, "hub_attempt")
    ours = _TOKEN.fullmatch(found[0]) if len(found) == 1 else None
    return {"delivery_id": ours[1], "hub_attempt": ours[0]} if ours else {}


def fingerprint(*parts: str) -> bytes:
    """Return the digest of the parts that two webhooks of one fact share."""
    return sha256("\0".join(parts).encode("utf-8", "surrogateescape")).digest()


def given(**fields: Any) -> dict[str, Any]:
    """Return the fields that are not None; a trailing underscore of a name is removed."""
    return {name.rstrip("_"): value for name, value in fields.items() if value is not None}
