"""Parameters of Pipedrive's actions, and conversion to Pipedrive's formats."""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from adapters.contract.money import minor_exponent
from adapters.contract.requests import Minor, check_email, check_said

_ID = re.compile(r"[1-9][0-9]{0,15}", re.ASCII)
_CUSTOM = re.compile(r"[0-9a-f]{40}", re.ASCII)
_STANDARD = re.compile(r"[a-z][a-z0-9_]{0,79}", re.ASCII)
_OURS = frozenset(
    """
    custom_fields currency email emails id name person_id phone phones stage_id title value
    """.split()
)


class ObjectId(fields.Field[str]):
    """Field for Pipedrive's id of an object: digits, as a text or a number."""

    def _deserialize(self, value: Any, *_args: Any, **_kwargs: Any) -> str:
        written = str(value).strip() if type(value) in (int, str) else ""
        if not is_id(written):
            raise ValidationError("expected Pipedrive's id: digits")
        return written


class PersonParameters(fields.Field[str]):
    """Field for a person: the e-mail address, or Pipedrive's id."""

    def _deserialize(self, value: Any, *_args: Any, **_kwargs: Any) -> str:
        written = str(value).strip() if type(value) in (int, str) else ""
        if not is_id(written):
            check_email(written)
        return written


def check_fields(values: Mapping[str, Any]) -> None:
    """Validate names: valid as names of Pipedrive's fields, and not set by another parameter.

    Raises:
        ValidationError: a name is not; the message names the field.
    """
    for name in values:
        if name in _OURS:
            raise ValidationError(f"{name}: has a parameter of its own, or cannot be set")
        if not _STANDARD.fullmatch(name) and not _CUSTOM.fullmatch(name):
            raise ValidationError(f"{name[:40]}: expected a field's key: 40 hex digits, or a name")


def _more() -> fields.Dict:
    return fields.Dict(
        keys=fields.String(),
        values=fields.Raw(allow_none=True),
        validate=check_fields,
    )


class UpsertPerson(Schema):
    """Parameters: `email` identifies the person; empty values are left out."""

    email = fields.String(required=True, validate=check_email)
    name = fields.String(allow_none=True, validate=validate.Length(max=255))
    phone = fields.String(allow_none=True, validate=validate.Length(max=80))

    class Meta:
        include: ClassVar[dict[str, fields.Field[Any]]] = {"fields": _more()}


class CreateDeal(Schema):
    """Parameters: `person` is an e-mail address or Pipedrive's id; `stage` is Pipedrive's id."""

    title = fields.String(required=True, validate=[check_said, validate.Length(max=255)])
    person = PersonParameters()
    amount = Minor()
    currency = fields.String(validate=validate.Regexp(r"[A-Za-z]{3}\Z"))
    stage = ObjectId()

    class Meta:
        include: ClassVar[dict[str, fields.Field[Any]]] = {"fields": _more()}

    @validates_schema
    def _both(self, data: Mapping[str, Any], **_: Any) -> None:
        if ("amount" in data) != ("currency" in data):
            missing = "currency" if "amount" in data else "amount"
            raise ValidationError("`amount` and `currency` go together", missing)


class AddNote(Schema):
    """Parameters: `content` is plain text; the note is about either a person or a deal."""

    content = fields.String(required=True, validate=[check_said, validate.Length(max=20_000)])
    person = PersonParameters()
    deal = ObjectId()

    @validates_schema
    def _one(self, data: Mapping[str, Any], **_: Any) -> None:
        if ("person" in data) == ("deal" in data):
            raise ValidationError("give either `person` or `deal`", "person")


def is_id(written: str) -> bool:
    """Return whether a text is an id of Pipedrive's."""
    return _ID.fullmatch(written) is not None


def same_email(one: object, other: str) -> bool:
    """Return whether two texts are the same address to Pipedrive, which ignores case."""
    return isinstance(one, str) and one.strip().casefold() == other.strip().casefold()


def written_fields(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return `fields` as the API takes them: custom ones (40 hex digits) under `custom_fields`.

    An empty value would erase data in the CRM, so it is left out.
    """
    said = {name: value for name, value in given.items() if _says_something(value)}
    custom = {name: value for name, value in said.items() if _CUSTOM.fullmatch(name)}
    standard = {name: value for name, value in said.items() if name not in custom}
    return standard | ({"custom_fields": custom} if custom else {})


def major_units(amount: int, currency: str) -> int | float:
    """Return an amount in the minor unit as an exact JSON number of the major unit."""
    value = Decimal(amount).scaleb(-minor_exponent(currency))
    return int(value) if value == value.to_integral_value() else float(value)


def _says_something(value: Any) -> bool:
    return value is not None and (not isinstance(value, str) or bool(value.strip()))
