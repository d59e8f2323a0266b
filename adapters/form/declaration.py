"""A form's settings: which fields it has, which pages may send it, where people go afterwards."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urldefrag, urlsplit

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from adapters.contract.sending import check_url

TYPES = {"text": 500, "longtext": 10_000, "email": 320, "phone": 40, "choice": 200}
"""The types of fields, and how many characters each takes unless `max` says otherwise."""
LARGEST_MAX = 100_000
MAX_DECLARED = 100

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
_FRAGMENT = re.compile(r"[!-~]*")
_LABEL = validate.Length(min=1, max=200)


def _check_name(name: Any) -> None:
    if isinstance(name, str) and name.startswith("_"):
        raise ValidationError("names that begin with _ are the hub's own")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValidationError("expected a letter, then letters, digits, - and _ (64 at most)")


def check_origin(text: str) -> None:
    """Accept what a browser says in `Origin`: scheme, host and port, nothing else.

    Raises:
        ValidationError: it is something else.
    """
    check_url(text)
    if urlsplit(text).geturl() != text or urlsplit(text)[2:] != ("", "", ""):
        raise ValidationError("expected an origin like https://example.org, without a path")


def _check_redirect(text: str) -> None:
    address, fragment = urldefrag(text)
    check_url(address)
    if not _FRAGMENT.fullmatch(fragment) or not address.isascii():
        raise ValidationError("expected an address in plain ASCII, percent-encoded where needed")


class FieldSchema(Schema):
    """One field: `type`, whether it is `required`, its `label`, its `max` length, its `choices`."""

    error_messages = {"unknown": "unknown key; there are type, required, label, max and choices"}  # noqa: RUF012

    type = fields.String(
        load_default="text",
        validate=validate.OneOf(TYPES, error=f"expected one of {', '.join(TYPES)}"),
    )
    required = fields.Boolean(load_default=False)
    label = fields.String(validate=_LABEL)
    max = fields.Integer(
        strict=True,
        validate=validate.Range(1, LARGEST_MAX, error=f"expected 1 to {LARGEST_MAX}"),
    )
    choices = fields.List(fields.String(validate=_LABEL), validate=validate.Length(min=1))

    @validates_schema(skip_on_field_errors=True)
    def _check(self, data: Mapping[str, Any], **_: Any) -> None:
        is_choice = data["type"] == "choice"
        if is_choice and "choices" not in data:
            raise ValidationError("a choice needs `choices`, a list of texts", "type")
        if not is_choice and "choices" in data:
            raise ValidationError("only a field of type choice has choices", "choices")
        if is_choice and "max" in data:
            raise ValidationError("a choice is as long as its choices", "max")


class FormSettings(Schema):
    """`fields`: name to field. `origins`: of the pages that may send it, beside the hub's own.

    `redirect`: the page of thanks. There are no secrets: whoever sees the page may post.
    """

    fields_ = fields.Dict(
        keys=fields.String(validate=_check_name),
        values=fields.Nested(FieldSchema),
        required=True,
        validate=validate.Length(1, MAX_DECLARED, error=f"expected 1 to {MAX_DECLARED} fields"),
        data_key="fields",
        attribute="fields",
    )
    origins = fields.List(fields.String(validate=check_origin), load_default=list)
    redirect = fields.String(load_default=None, allow_none=True, validate=_check_redirect)
