"""Addresses and the lines of an e-mail's head, checked before SendGrid writes them into one."""

import re
from dataclasses import dataclass

from marshmallow import ValidationError

MAX_LINE = 900
"""The longest subject or name, in characters; RFC 5322 allows a line of 998."""

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_ADDRESS = re.compile(r"[^\s@<>\"'(),;:\\\[\]]{1,64}@[^\s@<>\"'(),;:\\\[\]/?#]{1,255}")
_NAMED = re.compile(r"(?P<name>[^<>]*)<(?P<email>[^<>]*)>")


@dataclass(frozen=True, slots=True)
class Mailbox:
    """An address, and the name shown beside it ("" for none)."""

    email: str
    name: str = ""

    def as_json(self) -> dict[str, str]:
        """Return it as SendGrid takes it."""
        return {"email": self.email, "name": self.name} if self.name else {"email": self.email}


def mailbox(text: str) -> Mailbox:
    """Return what `jane@example.org` or `Jane Doe <jane@example.org>` says.

    Raises:
        ValidationError: it is neither, or has a control character.
    """
    check_line(text)
    named = _NAMED.fullmatch(text.strip())
    email = named["email"].strip() if named else text.strip()
    if not _ADDRESS.fullmatch(email):
        raise ValidationError("expected jane@example.org or Jane Doe <jane@example.org>")
    name = named["name"].strip() if named else ""
    return Mailbox(email, name.replace('"', "").strip())


def check_mailbox(text: str) -> None:
    """Accept what `mailbox` reads (a marshmallow validator).

    Raises:
        ValidationError: it does not.
    """
    mailbox(text)


def check_email(text: str) -> None:
    """Accept an address without a name (a marshmallow validator).

    Raises:
        ValidationError: it is none.
    """
    if not _ADDRESS.fullmatch(text.strip()) or _CONTROL.search(text):
        raise ValidationError("expected an e-mail address like jane@example.org")


def check_line(text: str) -> None:
    """Accept one line that says something: SendGrid writes it into the head of the e-mail.

    Raises:
        ValidationError: it is blank, too long or has a control character.
    """
    if _CONTROL.search(text):
        raise ValidationError("must be one line without control characters")
    if not text.strip():
        raise ValidationError("must not be blank")
    if len(text) > MAX_LINE:
        raise ValidationError(f"must have at most {MAX_LINE} characters")
