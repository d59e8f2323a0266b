"""Parameters of a message, their validation, and the fields that Twilio's API takes."""

import re
import unicodedata
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from marshmallow import Schema, ValidationError, fields, pre_load, validate, validates_schema

from adapters.contract.errors import InvalidParameters
from adapters.contract.requests import check_url, json_body

MAX_CHARACTERS = 1600
MAX_MEDIA = 10
MOST_NUMBER = 10**15
WHATSAPP = "whatsapp:"

_RECIPIENT = re.compile(r"(?:whatsapp:)?\+[1-9][0-9]{6,14}", re.ASCII)
_SENDER = re.compile(
    r"(?:whatsapp:)?\+[1-9][0-9]{6,14}|[0-9]{3,8}|(?=.*[A-Za-z])[A-Za-z0-9 &_+-]{1,11}", re.ASCII
)
_NUMBER = re.compile(r"\+[1-9][0-9]{6,14}", re.ASCII)
_TEMPLATE = re.compile(r"HX[0-9a-fA-F]{32}", re.ASCII)


def check_sender(sender: str) -> None:
    """Validate a sender: a number, a short code, a name of up to 11 characters, or empty.

    Raises:
        ValidationError: the sender is anything else.
    """
    if sender.strip() and not _SENDER.fullmatch(sender.strip()):
        raise ValidationError("expected a number like +12025550123, a short code or a name")


def check_text(text: str) -> None:
    """Validate a text: not blank, and without control characters other than newline and tab.

    Raises:
        ValidationError: the text is not valid; the message does not repeat it.
    """
    if any(unicodedata.category(c) in ("Cc", "Cs") and c not in "\n\t" for c in text):
        raise ValidationError("has control characters")
    if not any(c.isprintable() and not c.isspace() for c in text):
        raise ValidationError("must not be empty")


def _check_media(url: str) -> None:
    check_url(url)
    if not url.startswith("https://") or not url.isascii():
        raise ValidationError("expected an address like https://example.org/picture.jpg")


def _is_wild(value: str | float) -> bool:
    """Return whether a value is NaN, infinite, or a number with more digits than a person reads."""
    return not isinstance(value, str) and not abs(value) < MOST_NUMBER


def _check_variables(variables: Mapping[str, Any]) -> None:
    for name, value in variables.items():
        if not isinstance(value, str | int | float) or isinstance(value, bool) or _is_wild(value):
            raise ValidationError(f"{name}: expected a text or a number")
        try:
            check_text(str(value))
        except ValidationError as fault:
            raise ValidationError(f"{name}: {fault}") from None


class SendParameters(Schema):
    """Parameters: a text, media, both, or an approved template with variables; `to` is E.164."""

    to = fields.String(
        required=True,
        validate=validate.Regexp(
            _RECIPIENT.pattern + r"\Z",
            error="expected a number like +12025550123, or whatsapp:+12025550123",
        ),
    )
    body = fields.String(validate=[check_text, validate.Length(1, MAX_CHARACTERS)])
    media = fields.List(
        fields.String(validate=_check_media), validate=validate.Length(max=MAX_MEDIA)
    )
    template = fields.String(
        validate=validate.Regexp(
            _TEMPLATE.pattern + r"\Z", error="expected a ContentSid: HX and 32 hexadecimal digits"
        )
    )
    variables = fields.Dict(
        keys=fields.String(validate=validate.Length(1, 100)), validate=_check_variables
    )

    @pre_load
    def _one_line_end(self, data: Any, **_: Any) -> Any:
        """Replace CRLF, which text written in a browser has, by LF."""
        body = data.get("body") if isinstance(data, Mapping) else None
        return {**data, "body": body.replace("\r\n", "\n")} if isinstance(body, str) else data

    @validates_schema
    def _something_to_say(self, data: Mapping[str, Any], **_: Any) -> None:
        if "template" in data:
            if "body" in data or data.get("media"):
                raise ValidationError("a template brings its own text and media", "template")
        elif "variables" in data:
            raise ValidationError("are those of a `template`, and there is none", "variables")
        elif "body" not in data and not data.get("media"):
            raise ValidationError("a message needs a text, media or a template", "body")


def message_fields(
    message: Mapping[str, Any], *, sender: str, service: str, callback: str | None
) -> dict[str, Any]:
    """Return the fields of a validated message, by the official library's names of them.

    Raises:
        InvalidParameters: the sender cannot send on the recipient's channel.
    """
    fields: dict[str, Any] = {"to": message["to"]}
    if callback:
        fields["status_callback"] = callback
    if service:
        fields["messaging_service_sid"] = service
    if sender:
        fields["from_"] = sender_for(message["to"], sender)
    if "body" in message:
        fields["body"] = message["body"]
    if message.get("media"):
        fields["media_url"] = message["media"]
    if "template" in message:
        fields["content_sid"] = message["template"]
    if message.get("variables"):
        texts = {name: str(value) for name, value in message["variables"].items()}
        fields["content_variables"] = json_body(texts, parameter="variables").decode()
    return fields


def sender_for(to: str, sender: str) -> str:
    """Return the sender in the notation of the recipient's channel.

    Raises:
        InvalidParameters: a short code or a name would send to WhatsApp, or a WhatsApp sender to
            a telephone number.
    """
    if not to.startswith(WHATSAPP):
        if sender.startswith(WHATSAPP):
            raise InvalidParameters({"to": "`from` writes to WhatsApp only: put whatsapp: before"})
        return sender
    number = sender.removeprefix(WHATSAPP)
    if not _NUMBER.fullmatch(number):
        raise InvalidParameters({"to": "WhatsApp takes a telephone number in `from`"})
    return WHATSAPP + number


def callback_with(address: str | None, attempt_id: str) -> str | None:
    """Return the URL of the status callbacks with this attempt's token, or None without a URL."""
    if not address:
        return None
    return f"{address}{'&' if '?' in address else '?'}{urlencode({'hub_attempt': attempt_id})}"
