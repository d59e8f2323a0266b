"""Section `limits`, the `limits` of a destination, and the `captcha` of a form source."""

from collections.abc import Mapping
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate

from adapters.contract.outbound import Outbound
from hub.config.errors import quote
from hub.config.fields import OneOf, RateLimit, Text, Texts, Tree, Whole
from hub.config.sections import LoadContext, Section, keys_of, known_keys, load, section_of
from hub.config.urls import address_fault
from hub.config.yaml import Located
from hub.core.configuration import Captcha, FormLimits, MailLimits, TextLimits

CAPTCHAS = ("turnstile", "hcaptcha", "recaptcha")
_SITE_KEY = "expected the public key beside the secret, letters and digits"


class Countries(Texts):
    """Field of one two-letter country code or a list of them."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> tuple[str, ...]:
        import phonenumbers  # slow to import, and many configurations never need it

        codes = tuple(code.upper() for code in super()._deserialize(value, *args, **kwargs))
        for code in codes:
            if code not in phonenumbers.SUPPORTED_REGIONS:
                raise ValidationError(f"there is no country `{quote(code)}`; expected US, CA, …")
        return codes


class Seconds(fields.Field[float]):
    """Field of seconds from 0 to 60, with fractions."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> float:
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 60:
            return float(value)
        raise ValidationError("expected seconds, from 0 to 60")


class FormLimitsSchema(Schema):
    per_address = RateLimit()
    per_network = RateLimit()
    refuse = RateLimit()
    repeats = RateLimit()
    links = Whole(low=0, high=1000)
    min_seconds = Seconds()


class LimitsSchema(Schema):
    forms = Tree()


class TextLimitsSchema(Schema):
    countries = Countries()
    per_number = RateLimit()
    per_prefix = RateLimit()
    per_address = RateLimit()
    per_day = Whole(low=1, high=1_000_000)
    people_per_hour = Whole(low=1, high=1_000_000)


class MailLimitsSchema(Schema):
    per_recipient = RateLimit()
    per_day = Whole(low=1, high=1_000_000)
    people_per_hour = Whole(low=1, high=1_000_000)


class MessageLimitsSchema(TextLimitsSchema, MailLimitsSchema):
    """Schema of the limits of a destination that sends both texts and e-mails."""


class CaptchaSchema(Schema):
    kind = OneOf(*CAPTCHAS, required=True)
    site_key = Text(
        required=True,
        validate=validate.Regexp(r"[A-Za-z0-9_-]{1,200}\Z", error=_SITE_KEY),
        error_messages={"required": f"is required, for the form that the hub shows: {_SITE_KEY}"},
    )
    secret = Text(required=True)
    url = Text()


def read_form_limits(root: Located, reading: LoadContext) -> FormLimits:
    """Return the limits for all forms together; every key has a default."""
    node = root.value.get("limits")
    if node is None or node.value is None:
        return FormLimits()
    if not isinstance(node.value, dict):
        reading.faults.add(node.line, ("limits",), "expected a mapping of keys")
        return FormLimits()
    found = section_of(node, ("limits",), reading)
    known_keys(found, keys_of(LimitsSchema()), (), reading)
    load(LimitsSchema(), found, reading)
    return FormLimits(**_below(found, "forms", FormLimitsSchema(), reading))


def read_send_limits(
    found: Section, adapter: type[Outbound], reading: LoadContext
) -> tuple[TextLimits, MailLimits]:
    """Return the `limits` of a destination; only those that text or mail may have them."""
    if "limits" not in found.node.value:
        return TextLimits(), MailLimits()
    texts = any(action.phone for action in adapter.actions.values())
    mails = any(action.recipients for action in adapter.actions.values())
    if not (texts or mails):
        sentence = "are for destinations that send texts or e-mails; take them out"
        found.fault(reading, ("limits",), sentence)
        return TextLimits(), MailLimits()
    only = TextLimitsSchema if texts else MailLimitsSchema
    schema = MessageLimitsSchema if texts and mails else only
    given = _below(found, "limits", schema(), reading)
    return (
        TextLimits(**_given(TextLimitsSchema(), given) if texts else {}),
        MailLimits(**_given(MailLimitsSchema(), given) if mails else {}),
    )


def _given(schema: Schema, values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name in schema.fields}


def read_captcha(found: Section, reading: LoadContext) -> Captcha | None:
    """Return the captcha provider of a form source; None if it has none or has errors."""
    values = _below(found, "captcha", CaptchaSchema(), reading)
    if not {"kind", "secret", "site_key"} <= values.keys():
        return None
    url = values.get("url")
    if url and (fault := address_fault(url, allow_private=reading.allow_private)):
        found.fault(reading, ("captcha", "url"), fault)
    return Captcha(**values)


def _below(found: Section, key: str, schema: Schema, reading: LoadContext) -> dict[str, Any]:
    node = found.node.value.get(key)
    if node is None or not isinstance(node.value, dict):
        return {}  # a value that is no mapping is reported by the schema of its parent
    given = {name: item for name, item in node.value.items() if item.value is not None}
    below = Section(Located(given, node.line), (*found.path, key))
    known_keys(below, keys_of(schema), (), reading)
    return load(schema, below, reading)
