"""E-mail of the action `send`: its parameters, and the body of `POST /v3/mail/send`.

Addresses and header lines are validated before SendGrid writes them into the e-mail's header.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

# The longest subject or name, in characters; RFC 5322 allows a line of 998.
MAX_LINE = 900

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_ADDRESS = re.compile(r"[^\s@<>\"'(),;:\\\[\]]{1,64}@[^\s@<>\"'(),;:\\\[\]/?#]{1,255}")
_NAMED = re.compile(r"(?P<name>[^<>]*)<(?P<email>[^<>]*)>")


@dataclass(frozen=True, slots=True)
class Mailbox:
    """E-mail address, and the name shown beside it ("" for none)."""

    email: str
    name: str = ""

    def as_json(self) -> dict[str, str]:
        """Return the mailbox as SendGrid takes it."""
        return {"email": self.email, "name": self.name} if self.name else {"email": self.email}


def mailbox(text: str) -> Mailbox:
    """Parse `jane@example.org` or `Jane Doe <jane@example.org>`.

    Raises:
        ValidationError: the text is neither, or `check_line` refuses it.
    """
    check_line(text)
    named = _NAMED.fullmatch(text.strip())
    email = named["email"].strip() if named else text.strip()
    if not _ADDRESS.fullmatch(email):
        raise ValidationError("expected jane@example.org or Jane Doe <jane@example.org>")
    name = named["name"].strip() if named else ""
    return Mailbox(email, name.replace('"', "").strip())


def check_mailbox(text: str) -> None:
    """Validate a text that `mailbox` parses (a marshmallow validator).

    Raises:
        ValidationError: `mailbox` refuses the text.
    """
    mailbox(text)


def check_email(text: str) -> None:
    """Validate an e-mail address without a name (a marshmallow validator).

    Raises:
        ValidationError: the text is not an address.
    """
    if not _ADDRESS.fullmatch(text.strip()) or _CONTROL.search(text):
        raise ValidationError("expected an e-mail address like jane@example.org")


def check_line(text: str) -> None:
    """Validate a header line, which SendGrid writes into the e-mail (a marshmallow validator).

    Raises:
        ValidationError: the line is blank, too long or has a control character.
    """
    if _CONTROL.search(text):
        raise ValidationError("must be one line without control characters")
    if not text.strip():
        raise ValidationError("must not be blank")
    if len(text) > MAX_LINE:
        raise ValidationError(f"must have at most {MAX_LINE} characters")


MAX_CATEGORIES = 10
_CONTENT = ("subject", "text", "html")
_NO_CHARACTER = re.compile("[\x00\ud800-\udfff]")


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


class SendParameters(Schema):
    """Parameters: `template` (dynamic, with `data`), or `subject` with `text` and/or `html`.

    `to` and `reply_to` are `jane@example.org` or `Jane Doe <jane@example.org>`;
    `unsubscribe_group` is a number.
    """

    to = fields.String(required=True, validate=check_mailbox)
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
    categories = fields.List(
        fields.String(validate=[check_line, validate.Length(max=255)]),
        validate=validate.Length(max=MAX_CATEGORIES),
    )
    unsubscribe_group = fields.Integer(validate=check_group)

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


def mail_body(given: Mapping[str, Any], *, sender: Mailbox, attempt_id: str) -> dict[str, Any]:
    """Return the JSON body of one e-mail to one person; `given` was loaded by `SendParameters`.

    SendGrid copies `custom_args` into every event of the e-mail.
    """
    envelope: dict[str, Any] = {
        "to": [mailbox(given["to"]).as_json()],
        "custom_args": {"hub_attempt": attempt_id},
    }
    if given.get("data"):
        envelope["dynamic_template_data"] = given["data"]
    body: dict[str, Any] = {"from": sender.as_json(), "personalizations": [envelope]}
    if "template" in given:
        body["template_id"] = given["template"]
    else:
        body["subject"] = given["subject"]
        body["content"] = _content(given)
    if "reply_to" in given:
        body["reply_to"] = mailbox(given["reply_to"]).as_json()
    if given.get("categories"):
        body["categories"] = list(dict.fromkeys(given["categories"]))
    if "unsubscribe_group" in given:
        body["asm"] = {"group_id": given["unsubscribe_group"]}
    return body


def _content(given: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return the parts in the order that SendGrid requires: plain text first."""
    kinds = {"text": "text/plain", "html": "text/html"}
    return [{"type": kinds[name], "value": given[name]} for name in kinds if name in given]
