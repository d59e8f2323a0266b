"""Parameters of the action `send`: an e-mail's people, words, files and time."""

import re
from collections.abc import Mapping
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from adapters.contract.errors import Unreadable
from adapters.contract.fields import utc_from_epoch, utc_from_text
from adapters.contract.mailboxes import (
    RECIPIENT_FIELDS,
    Mailboxes,
    check_line,
    check_mailbox,
    recipients_of,
)

# SendGrid's limit for one request, `to`, `cc` and `bcc` together.
MAX_RECIPIENTS = 1000
MAX_CATEGORIES = 10
_CONTENT = ("subject", "text", "html")
_NO_CHARACTER = re.compile("[\x00\ud800-\udfff]")
_SECONDS = re.compile(r"[0-9]{1,12}", re.ASCII)


def _check_content(content: str) -> None:
    if not content.strip():
        raise ValidationError("must not be blank")
    if _NO_CHARACTER.search(content):
        raise ValidationError("has a NUL or half a character, which no e-mail can hold")


def check_group(group: int) -> None:
    """Validate the number of an unsubscribe group (a marshmallow validator).

    Raises:
        ValidationError: the number cannot be one.
    """
    if not 0 < group < 2**63:
        raise ValidationError("expected the number of an unsubscribe group")


class _Moment(fields.Field[int]):
    """Moment as an RFC 3339 time or in epoch seconds, loaded as epoch seconds."""

    def _deserialize(self, value: Any, *_args: Any, **_kwargs: Any) -> int:
        is_digits = isinstance(value, str) and _SECONDS.fullmatch(value)
        try:
            if is_digits or isinstance(value, int):
                at = utc_from_epoch(int(value) if is_digits else value, "it")
            else:
                at = utc_from_text(value, "it")
        except Unreadable as fault:
            raise ValidationError(str(fault)) from None
        return int(at.timestamp())


class _FileNames(fields.Field[list[str]]):
    """Names of the event's attachments, or rows of `data.attachments`; loaded as names."""

    def _deserialize(self, value: Any, *_args: Any, **_kwargs: Any) -> list[str]:
        rows = value if isinstance(value, list | tuple) else [value]
        given = [row.get("name") if isinstance(row, Mapping) else row for row in rows]
        names = [name for name in given if isinstance(name, str) and name]
        if len(names) < len(given):
            raise ValidationError("expected names of data.attachments, or data.attachments itself")
        return list(dict.fromkeys(names))


class SendParameters(Schema):
    """Parameters: `template` (dynamic, with `data`), or `subject` with `text` and/or `html`.

    `to`, `cc` and `bcc` are `jane@example.org` or `Jane Doe <jane@example.org>`, or a list of
    these; `reply_to` is one of them, and so is `from`, which is the destination's if left out.
    `attachments` are names of the event's own. `send_at` is an RFC 3339 time or epoch seconds.
    `unsubscribe_group` is a number.
    """

    to = Mailboxes(required=True, validate=validate.Length(min=1, error="must name somebody"))
    cc = Mailboxes()
    bcc = Mailboxes()
    subject = fields.String(validate=check_line)
    text = fields.String(validate=_check_content)
    html = fields.String(validate=_check_content)
    template = fields.String(
        validate=validate.Regexp(
            r"d-[A-Za-z0-9-]{1,100}\Z", error="expected the id of a dynamic template: d-..."
        )
    )
    data = fields.Dict(keys=fields.String())
    reply_to = fields.String(validate=check_mailbox)
    sender = fields.String(data_key="from", attribute="from", validate=check_mailbox)
    categories = fields.List(
        fields.String(validate=[check_line, validate.Length(max=255)]),
        validate=validate.Length(max=MAX_CATEGORIES),
    )
    attachments = _FileNames()
    send_at = _Moment()
    unsubscribe_group = fields.Integer(validate=check_group)

    @validates_schema(skip_on_field_errors=True)
    def _check_how_many(self, given: Mapping[str, Any], **_: Any) -> None:
        named = sum(len(given.get(name, ())) for name in RECIPIENT_FIELDS)
        if named > MAX_RECIPIENTS < sum(map(len, recipients_of(given).values())):
            raise ValidationError(
                f"SendGrid takes at most {MAX_RECIPIENTS} addresses, with cc and bcc", "to"
            )

    @validates_schema(skip_on_field_errors=True)
    def _check_what_is_sent(self, given: Mapping[str, Any], **_: Any) -> None:
        if "template" in given:
            if own := [name for name in _CONTENT if name in given]:
                sentence = "brings its own subject and content; leave away " + " ".join(own)
                raise ValidationError(sentence, "template")
            return
        if "data" in given:
            raise ValidationError("is for a template, and there is none", "data")
        if "subject" not in given:
            raise ValidationError("is needed where there is no template", "subject")
        if "text" not in given and "html" not in given:
            raise ValidationError("text or html is needed where there is no template", "text")
