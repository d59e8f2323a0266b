"""Settings schema of a form: its fields, the origins that may send it, and redirects afterwards.

Each field type has its own keys and its own limit of characters. The values that `max` and `min`
of a field may have, and what they count, depend on the type.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any
from urllib.parse import urldefrag, urlsplit

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from adapters.contract.requests import check_url
from adapters.form.files import MIB, MOST_BYTES, MOST_FILES, extensions, most_bytes, size_bytes
from adapters.form.patterns import BadPattern, check_pattern, matcher

LARGEST_MAX = 100_000


@dataclass(frozen=True, slots=True)
class Kind:
    """Field type: the keys that it accepts, those that it needs, and its length limit.

    `longest` is a number of characters; in a `sized` type, `max` counts characters and overrides
    it.
    """

    longest: int
    keys: Sequence[str] = ()
    needs: Mapping[str, str] = field(default_factory=dict)
    sized: bool = False


_TYPED = ("max", "min", "placeholder")
_LISTED = {"choices": "a list of texts"}

KINDS = {
    "text": Kind(500, (*_TYPED, "pattern", "example"), sized=True),
    "longtext": Kind(10_000, (*_TYPED, "pattern", "example"), sized=True),
    "email": Kind(320, _TYPED, sized=True),
    "phone": Kind(40, (*_TYPED, "pattern", "example"), sized=True),
    "choice": Kind(200, ("choices",), _LISTED),
    "choices": Kind(200, ("choices", "max", "min"), _LISTED),
    "number": Kind(40, _TYPED),
    "date": Kind(40, ("max", "min")),
    "consent": Kind(200, ("text",), {"text": "what is consented to"}),
    "hidden": Kind(500, ("max", "min", "pattern", "example", "value"), sized=True),
    "file": Kind(0, ("max", "min", "accept", "max_bytes")),
}


def longest(declared: Mapping[str, Any]) -> int:
    """Return the maximum number of characters of a field."""
    kind = KINDS[declared["type"]]
    return int(declared.get("max", kind.longest)) if kind.sized else kind.longest


Bound = int | float | str


def check_bounds(declared: Mapping[str, Any]) -> None:
    """Validate the `max` and `min` of a field.

    Raises:
        ValidationError: under the invalid key.
    """
    read = _READ.get(declared["type"], _whole)
    most = _most(declared)
    found = {}
    for key in ("max", "min"):
        if key in declared:
            found[key] = _read(key, read, declared[key], most)
    if len(found) == 2 and found["min"] > found["max"]:
        raise ValidationError("is more than `max`", "min")


def _most(declared: Mapping[str, Any]) -> int:
    if declared["type"] == "choices":
        return len(declared["choices"])
    return LARGEST_MAX if KINDS[declared["type"]].sized else MOST_FILES


def _read(key: str, read: Callable[[Any, int], Any], value: Any, most: int) -> Any:
    try:
        return read(value, most)
    except ValueError as error:
        raise ValidationError(str(error), key) from None


def _whole(value: Any, most: int) -> int:
    if type(value) is not int or not 1 <= value <= most:
        raise ValueError(f"expected 1 to {most}")
    return value


def _number(value: Any, _: int) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e15:
        raise ValueError("expected a number")
    return Decimal(repr(value))


def _date(value: Any, _: int) -> date:
    try:
        return date.fromisoformat(str(value))
    except ValueError:
        raise ValueError("expected a date like 2026-11-20") from None


_READ: Mapping[str, Callable[[Any, int], Any]] = {"number": _number, "date": _date}


MAX_DECLARED = 100
MAX_TARGETS = 100
HONEYPOT = "_gotcha"

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
_FRAGMENT = re.compile(r"[!-~]*")
_LABEL = validate.Length(min=1, max=200)
_PROSE = validate.Length(min=1, max=2000)
_EVERYWHERE = ("type", "required", "label", "help")


def _check_name(name: Any) -> None:
    if isinstance(name, str) and name.startswith("_"):
        raise ValidationError("names that begin with _ are the hub's own")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValidationError("expected a letter, then letters, digits, - and _ (64 at most)")


def _check_honeypot(name: str) -> None:
    if name != HONEYPOT:
        _check_name(name)


def check_origin(text: str) -> None:
    """Require an origin as a browser sends it in `Origin`: only scheme, host and port.

    Raises:
        ValidationError: `text` is anything else.
    """
    check_url(text)
    if urlsplit(text).geturl() != text or urlsplit(text)[2:] != ("", "", ""):
        raise ValidationError("expected an origin like https://example.org, without a path")


def _check_redirect(text: str) -> None:
    address, fragment = urldefrag(text)
    check_url(address)
    if not _FRAGMENT.fullmatch(fragment) or not address.isascii():
        raise ValidationError("expected an address in plain ASCII, percent-encoded where needed")


def _check_example(declared: Mapping[str, Any]) -> None:
    """Require an example that the field itself accepts.

    Raises:
        ValidationError: it is refused; with what is wrong.
    """
    # The types of fields are built from this module's tables.
    from adapters.form.field_types import FIELD_TYPES

    example = declared["example"]
    try:
        example.encode()
    except UnicodeEncodeError:
        raise ValidationError("is not valid Unicode", "example") from None
    if declared["type"] != "longtext" and len(example.splitlines()) > 1:
        raise ValidationError("must be a single line", "example")
    if not declared.get("min", 1) <= len(example) <= longest(declared) or not example.strip():
        raise ValidationError("has more or fewer characters than the field takes", "example")
    if "pattern" in declared and not matcher(declared["pattern"])(example):
        raise ValidationError("does not match `pattern`", "example")
    try:
        FIELD_TYPES[declared["type"]](declared).clean(example)
    except ValidationError as error:
        said = f"is not what the field takes: {error.messages[0]}"
        raise ValidationError(said, "example") from None


class FieldSchema(Schema):
    """Schema of one field: its `type`, and the keys that this type accepts (`KINDS`)."""

    error_messages = {  # noqa: RUF012
        "unknown": f"unknown key; there are {', '.join((*_EVERYWHERE, 'max', 'min', 'pattern'))}, "
        "example, placeholder, choices, text, value, accept and max_bytes"
    }

    type = fields.String(
        load_default="text",
        validate=validate.OneOf(KINDS, error=f"expected one of {', '.join(KINDS)}"),
    )
    required = fields.Boolean(load_default=False)
    label = fields.String(validate=_LABEL)
    help = fields.String(validate=_PROSE)
    max = fields.Raw()
    min = fields.Raw()
    pattern = fields.String()
    example = fields.String(validate=validate.Length(min=1))
    placeholder = fields.String(validate=_LABEL)
    choices = fields.List(fields.String(validate=_LABEL), validate=validate.Length(1, 500))
    text = fields.String(validate=_PROSE)
    value = fields.String(validate=validate.Length(max=500))
    accept = fields.List(fields.String(), validate=validate.Length(1, 50))
    max_bytes = fields.Raw()

    @validates_schema(skip_on_field_errors=True)
    def _check(self, data: Mapping[str, Any], **_: Any) -> None:
        kind = data["type"]
        for key in data:
            if key not in (*_EVERYWHERE, *KINDS[kind].keys):
                raise ValidationError(f"a field of type {kind} has no `{key}`", key)
        for key, why in KINDS[kind].needs.items():
            if key not in data:
                raise ValidationError(f"a field of type {kind} needs `{key}`, {why}", "type")
        check_bounds(data)
        for key, check in (("accept", extensions), ("max_bytes", size_bytes)):
            if key in data:
                _accept(key, lambda key=key, check=check: check(data[key]))
        if "pattern" in data:
            _accept("pattern", lambda: check_pattern(data["pattern"], longest(data)))
        if "example" in data:
            _check_example(data)


def well_declared(declared: Mapping[str, Any]) -> dict[str, Any]:
    """Return the valid fields only; the settings may come from a file with invalid ones."""
    return {name: field for name, field in declared.items() if not FieldSchema().validate(field)}


class FormSettings(Schema):
    """Settings of a form.

    `fields`: name to field. `origins`: those of the pages that may send it, besides the hub's own.
    `redirect`: the thank-you page; `redirects`: pages that a form may request by `_next`.
    `honeypot`: a field that is hidden from people. `title`: the heading where the hub shows the
    form. There are no secrets: anyone who sees the page may post.
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
    redirects = fields.List(
        fields.String(validate=_check_redirect),
        load_default=list,
        validate=validate.Length(max=MAX_TARGETS),
    )
    honeypot = fields.String(load_default=HONEYPOT, validate=_check_honeypot)
    title = fields.String(load_default="Contact us", validate=_LABEL)

    @validates_schema(skip_on_field_errors=True)
    def _check(self, data: Mapping[str, Any], **_: Any) -> None:
        if data["honeypot"] in data["fields"]:
            raise ValidationError("people are asked for that field; name another", "honeypot")
        if most_bytes(data["fields"]) > MOST_BYTES:
            most = f"{MOST_BYTES // MIB} MiB"
            raise ValidationError(f"all files of one submission may come to {most}", "fields")


def _accept(key: str, check: Any) -> None:
    try:
        check()
    except (BadPattern, ValueError) as error:
        raise ValidationError(str(error), key) from None
