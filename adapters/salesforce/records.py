"""Records of any object, upserted by an external id."""

import re
from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import quote

from marshmallow import Schema, ValidationError, fields, validate

from adapters.contract.outbound import Call, Outcome
from adapters.salesforce.answers import read_upserted
from adapters.salesforce.api import FIELD, SalesforceApi

_DOTS = re.compile(r"\.{1,2}")


class ExternalIdValue(fields.Field[str]):
    """Field for the value of an external id: a text, or a number, which loads as a text."""

    def _deserialize(self, value: Any, *_args: Any, **_kwargs: Any) -> str:
        written = str(value).strip() if type(value) in (int, str) else ""
        if not written or len(written) > 255 or not written.isprintable():
            raise ValidationError("expected 1 to 255 printable characters")
        if _DOTS.fullmatch(written):
            raise ValidationError("cannot be dots alone")
        return written


def _check_fields(values: Mapping[str, Any]) -> None:
    for name in values:
        if not FIELD.fullmatch(name):
            raise ValidationError(f"{name[:40]}: expected the API name of a field")
        if name.lower() == "id":
            raise ValidationError("Id: is Salesforce's own; records are told by the external id")


def _name(example: str) -> fields.String:
    said = f"expected an API name like {example}"
    return fields.String(required=True, validate=validate.Regexp(rf"{FIELD.pattern}\Z", error=said))


def _values() -> fields.Dict:
    return fields.Dict(
        keys=fields.String(),
        values=fields.Raw(allow_none=True),
        required=True,
        validate=_check_fields,
    )


class Upsert(Schema):
    """Parameters: `fields` by API name; a mapping value refers to a record by its external id."""

    object = _name("Contact")
    external_id_field = _name("Hub_Key__c")
    external_id = ExternalIdValue(required=True)

    class Meta:
        include: ClassVar[dict[str, fields.Field[Any]]] = {"fields": _values()}


def upsert(account: SalesforceApi, call: Call, parameters: Mapping[str, Any]) -> Outcome:
    """Create or update the record; empty values are left out, since they would erase data."""
    key_field = parameters["external_id_field"]
    value = {
        name: one
        for name, one in parameters["fields"].items()
        if name.lower() != key_field.lower() and _says_something(one)
    }
    key = quote(parameters["external_id"], safe="")
    path = f"/sobjects/{parameters['object']}/{key_field}/{key}"
    answer = account.write("PATCH", path, value, call.now)
    return read_upserted(answer, call.now, account.hidden, key_field=key_field)


def _says_something(value: Any) -> bool:
    return value is not None and (not isinstance(value, str) or bool(value.strip()))
