"""Canonical fields of an event, read from equally named fields of an untrusted payload.

Each field of a type's family has one reader. An invalid value is left out, except that an invalid
amount, currency or time makes the whole payload unreadable.
"""

from collections.abc import Callable, Mapping
from typing import Any

from adapters.contract.fields import email_address, is_id, phone_e164, rfc3339, text, utc_from_text
from adapters.contract.money import currency_code, minor_units

Reader = Callable[[Any, str], Any]


def canonical_fields(kind: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the canonical fields of the family of `kind`, in the form that other adapters use.

    Raises:
        Unreadable: an amount is not an integer in minor units or has no valid currency beside it,
            or a time is invalid.
    """
    readers = _FAMILIES[kind.partition(".")[0]]
    found = {
        name: value
        for name, read in readers.items()
        if data.get(name) is not None and (value := read(data[name], name)) is not None
    }
    if "amount" in found and "currency" not in found:
        currency_code(None, "currency")
    return found


def _said(value: Any, _name: str) -> str | None:
    return text(value)


def _address(value: Any, _name: str) -> str | None:
    is_web = isinstance(value, str) and value.startswith(("https://", "http://"))
    return value if is_web else None


def _id(value: Any, _name: str) -> str | None:
    value = str(value) if type(value) is int else value
    return value if is_id(value) else None


def _email(value: Any, _name: str) -> str | None:
    return email_address(value)


def _phone(value: Any, _name: str) -> str | None:
    return phone_e164(value)


def _party(value: Any, _name: str) -> str | None:
    return phone_e164(value) or email_address(value)


def _time(value: Any, name: str) -> str:
    return rfc3339(utc_from_text(value, name))


def _whole(value: Any, _name: str) -> int | None:
    return value if type(value) is int and value >= 0 else None


def _flag(value: Any, _name: str) -> bool | None:
    return value if isinstance(value, bool) else None


def _mapping(value: Any, _name: str) -> dict[str, Any] | None:
    return value if isinstance(value, dict) else None


def _list(value: Any, _name: str) -> list[Any] | None:
    return value if isinstance(value, list) else None


def _texts(value: Any, _name: str) -> list[str] | None:
    is_list = isinstance(value, list) and all(isinstance(item, str) for item in value)
    return value if is_list else None


def _anything(value: Any, _name: str) -> Any:
    return value


_PERSON: Mapping[str, Reader] = {"email": _email, "phone": _phone, "name": _said}
_MONEY: Mapping[str, Reader] = {"amount": minor_units, "currency": currency_code}
_PAYMENT: Mapping[str, Reader] = {
    **_PERSON,
    **_MONEY,
    "customer_id": _id,
    "object_id": _id,
    "number": _said,
    "reason": _said,
    "url": _address,
    "metadata": _mapping,
}
_CUSTOMER: Mapping[str, Reader] = {
    **_PERSON,
    **_MONEY,
    "customer_id": _id,
    "status": _said,
    "plan": _said,
    "period_end_at": _time,
    "changed": _texts,
}
_RECORD: Mapping[str, Reader] = {
    **_PERSON,
    **_MONEY,
    "object_id": _id,
    "status": _said,
    "starts_at": _time,
    "ends_at": _time,
    "items": _list,
    "changed": _texts,
}
_TALK: Mapping[str, Reader] = {
    "from": _party,
    "to": _party,
    "body": _said,
    "message_id": _id,
    "status": _said,
    "error_code": _id,
    "duration_s": _whole,
}
# Readers by the family of a type. Left out on purpose: `delivery_id`, which settles a delivery of
# the hub with an unknown outcome, and attachments and media, which the payload does not contain.
_FAMILIES: Mapping[str, Mapping[str, Reader]] = {
    "lead": {
        **_PERSON,
        "message": _said,
        "fields": _mapping,
        "page": _address,
        "referrer": _said,
        "utm": _mapping,
        "consent": _anything,
    },
    **dict.fromkeys(("payment", "invoice", "checkout"), _PAYMENT),
    **dict.fromkeys(("subscription", "customer"), _CUSTOMER),
    "email": {
        "email": _email,
        "message_id": _said,
        "reason": _said,
        "url": _address,
        "machine": _flag,
        "from": _party,
        "to": _party,
        "subject": _said,
        "text": _said,
        "html": _said,
    },
    **dict.fromkeys(("sms", "call"), _TALK),
    **dict.fromkeys(("contact", "deal", "order", "booking"), _RECORD),
}
