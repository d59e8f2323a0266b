"""Settings schema of an `hmac` source, with its faults as sentences."""

import re
from collections.abc import Mapping
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from adapters.contract.signatures.hmac import ALGORITHMS, ENCODINGS, SecretsSchema
from adapters.hmac.template import Template

DEFAULT_TOLERANCE_S = 300

_UNITS = {"s": 1, "m": 60, "h": 3600}
_DURATION = re.compile(r"([1-9][0-9]{0,4})([smh])", re.ASCII)
_HEADER = re.compile(r"[A-Za-z0-9_-]{1,100}\Z", re.ASCII)
_STEP = r"[^.:\s]{1,100}"
_PATH = re.compile(rf"(header:[A-Za-z0-9_-]{{1,100}}|{_STEP}(\.{_STEP}){{0,9}})\Z")
_MIN_TOKEN = 16


class _Tolerance(fields.Field[int]):
    """Duration like `30s 5m 1h`, loaded as seconds."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> int:
        found = _DURATION.fullmatch(value) if isinstance(value, str) else None
        if found is None or int(found[1]) * _UNITS[found[2]] > 24 * 3600:
            raise ValidationError("expected a duration like 30s 5m 1h, of a day at most")
        return int(found[1]) * _UNITS[found[2]]


def _check_template(text: str) -> None:
    try:
        Template(text)
    except ValueError as error:
        raise ValidationError(str(error)) from None


def _one_of(*words: str) -> validate.OneOf:
    return validate.OneOf(words, error=f"expected {', '.join(words[:-1])} or {words[-1]}")


_header = validate.Regexp(_HEADER, error="expected the name of a header, like X-Signature")
_path = validate.Regexp(_PATH, error="expected header:X-Name, or a path like data.id")
_parameter = validate.Length(min=1, max=100, error="expected the name of a parameter")


class ChallengeSchema(Schema):
    """Schema of the handshake by which the sender verifies the webhook URL.

    `query` names the parameter of a GET that is echoed; with `token_query` and `token`, only if
    the request has the token. `body` names the field of a signed POST that is echoed, and `type`
    the event type (at `type_path`) of such a POST, so that no event is mistaken for a handshake.
    """

    query = fields.String(validate=_parameter)
    token_query = fields.String(validate=_parameter)
    token = fields.String(
        validate=validate.Length(min=_MIN_TOKEN, error=f"is shorter than {_MIN_TOKEN} characters")
    )
    body = fields.String(validate=_parameter)
    type = fields.String(validate=validate.Length(min=1))

    @validates_schema
    def _check_one_kind(self, data: Mapping[str, Any], **_: Any) -> None:
        if ("query" in data) == ("body" in data):
            raise ValidationError("expected either `query` or `body`")
        if ("token" in data) != ("token_query" in data):
            raise ValidationError("`token` and `token_query` go together")
        if "body" in data and "token" in data:
            raise ValidationError("`token` goes with `query`; a POST is signed")
        if "query" in data and "type" in data:
            raise ValidationError("`type` goes with `body`")


class HmacSettings(SecretsSchema):
    """Schema whose `header` names the signature's header and `signs` the signed content.

    The other keys are optional, apart from `secrets`.
    """

    header = fields.String(required=True, validate=_header)
    prefix = fields.String(load_default="", validate=validate.Length(max=100))
    algorithm = fields.String(load_default="sha256", validate=_one_of(*ALGORITHMS))
    encoding = fields.String(load_default="hex", validate=_one_of(*ENCODINGS))
    signs = fields.String(load_default="{body}", validate=_check_template)
    timestamp_header = fields.String(validate=_header)
    tolerance_s = _Tolerance(data_key="tolerance")
    id_path = fields.String(validate=_path)
    type_path = fields.String(validate=_path)
    challenge = fields.Nested(ChallengeSchema)

    @validates_schema
    def _check_together(self, data: Mapping[str, Any], **_: Any) -> None:
        timed = Template(data["signs"]).is_timed
        if timed != ("timestamp_header" in data):
            raise ValidationError(
                "`{timestamp}` goes with `timestamp_header`: a time that is not signed proves"
                " nothing",
                "signs",
            )
        if "tolerance_s" in data and not timed:
            raise ValidationError("needs `{timestamp}` in `signs`", "tolerance")
        if "type" in data.get("challenge", {}) and "type_path" not in data:
            raise ValidationError({"challenge": {"type": ["needs `type_path`"]}})
        if _collide(data):
            raise ValidationError("is named twice; a header says one thing", "header")
        if _overlap(data.get("id_path", ""), data.get("type_path", "")):
            raise ValidationError("lies within `type_path`, or around it", "id_path")


def _collide(data: Mapping[str, Any]) -> bool:
    paths = (data.get("id_path", ""), data.get("type_path", ""))
    named = [path.removeprefix("header:") for path in paths if path.startswith("header:")]
    named += [data["header"], data.get("timestamp_header", "")]
    lower = [name.lower() for name in named if name]
    return len(set(lower)) < len(lower)


def _overlap(one: str, other: str) -> bool:
    if not one or not other or "header:" in (one[:7], other[:7]):
        return False
    return f"{one}.".startswith(f"{other}.") or f"{other}.".startswith(f"{one}.")
