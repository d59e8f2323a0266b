"""Suppressions, global or of a group, and marketing contacts: parameters, paths and bodies."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from marshmallow import Schema, ValidationError, fields, validate

from adapters.contract.mailboxes import check_address
from adapters.sendgrid.parameters import check_group

CONTACTS = "/v3/marketing/contacts"
# Fields of `PUT /v3/marketing/contacts` besides `email` and the custom fields; all are texts.
CONTACT_PROPERTIES = frozenset(
    """
    address_line_1 address_line_2 anonymous_id city country external_id first_name last_name
    phone_number_id postal_code state_province_region
    """.split()
)

_LIST_ID = r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\Z"


def _check_properties(properties: Mapping[str, object]) -> None:
    unknown = sorted(set(properties) - CONTACT_PROPERTIES)
    if unknown:
        known = " ".join(sorted(CONTACT_PROPERTIES))
        raise ValidationError(f"unknown property {unknown[0][:50]!a}; there are {known}")
    for name, value in properties.items():
        if not isinstance(value, str | int | None) or isinstance(value, bool):
            raise ValidationError(f"{name}: expected a text")


def _check_fields(custom: Mapping[str, object]) -> None:
    for name, value in custom.items():
        if isinstance(value, bool) or not isinstance(value, str | int | float | None):
            raise ValidationError(f"{name[:50]!a}: expected a text or a number")


class SuppressionParameters(Schema):
    """Parameters: `group` is the number of an unsubscribe group; default: a global suppression."""

    email = fields.String(required=True, validate=check_address)
    group = fields.Integer(validate=check_group)


class ContactParameters(Schema):
    """Parameters: `custom_fields` are keyed by id (`e1_T`); `lists` are ids of lists to join."""

    email = fields.String(required=True, validate=[check_address, validate.Length(max=254)])
    properties = fields.Dict(
        keys=fields.String(), values=fields.Raw(allow_none=True), validate=_check_properties
    )
    custom_fields = fields.Dict(
        keys=fields.String(), values=fields.Raw(allow_none=True), validate=_check_fields
    )
    lists = fields.List(
        fields.String(validate=validate.Regexp(_LIST_ID, error="expected the id of a list"))
    )


def suppressions_path(given: Mapping[str, Any]) -> str:
    """Return the API path of the list of suppressions: that of the group, or the global one."""
    if "group" in given:
        return f"/v3/asm/groups/{given['group']}/suppressions"
    return "/v3/asm/suppressions/global"


def suppression_path(given: Mapping[str, Any]) -> str:
    """Return the API path of one person's suppression."""
    return f"{suppressions_path(given)}/{quote(given['email'].strip(), safe='')}"


def contact_body(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON body for one contact; empty values would erase data, so they are left out."""
    properties = {
        name: str(value)
        for name, value in given.get("properties", {}).items()
        if value is not None and str(value).strip()
    }
    contact: dict[str, Any] = {**properties, "email": given["email"].strip()}
    custom = {
        name: value
        for name, value in given.get("custom_fields", {}).items()
        if value is not None and str(value).strip()
    }
    if custom:
        contact["custom_fields"] = custom
    body: dict[str, Any] = {"contacts": [contact]}
    if given.get("lists"):
        body["list_ids"] = list(given["lists"])
    return body
