"""Mailboxes in the parameters of e-mails: `jane@example.org` or `Jane Doe <jane@example.org>`.

Adapters that mail read their recipients with these functions, and so does the hub, which counts
them (`Action.recipients`): what one of them takes for an address, the other does too. A name or
header line is validated before a provider writes it into the e-mail's header.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from marshmallow import ValidationError, fields

# The longest subject or name, in characters; RFC 5322 allows a line of 998.
MAX_LINE = 900
RECIPIENT_FIELDS = ("to", "cc", "bcc")

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_ADDRESS = re.compile(r"[^\s@<>\"'(),;:\\\[\]]{1,64}@[^\s@<>\"'(),;:\\\[\]/?#]{1,255}")
_NAMED = re.compile(r"(?P<name>[^<>]*)<(?P<email>[^<>]*)>")


@dataclass(frozen=True, slots=True)
class Mailbox:
    """E-mail address, and the name shown beside it ("" for none)."""

    email: str
    name: str = ""


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


def recipients_in(parameters: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    """Return the recipients in the parameters of these names, each one text or a list of texts.

    Of a mailbox the address is returned; any other text, as the id of a customer, as it is. Blank
    ones are left out.
    """
    found = []
    for name in names:
        given = parameters.get(name)
        for text in given if isinstance(given, list | tuple) else [given]:
            if not isinstance(text, str) or not text.strip():
                continue
            try:
                found.append(mailbox(text).email)
            except ValidationError:
                found.append(text)
    return found


def check_mailbox(text: str) -> None:
    """Validate a text that `mailbox` parses (a marshmallow validator).

    Raises:
        ValidationError: `mailbox` refuses the text.
    """
    mailbox(text)


def check_address(text: str) -> None:
    """Validate an e-mail address without a name (a marshmallow validator).

    Raises:
        ValidationError: the text is not an address.
    """
    if not _ADDRESS.fullmatch(text.strip()) or _CONTROL.search(text):
        raise ValidationError("expected an e-mail address like jane@example.org")


def check_line(text: str) -> None:
    """Validate a header line, which a provider writes into the e-mail (a marshmallow validator).

    Raises:
        ValidationError: the line is blank, too long or has a control character.
    """
    if _CONTROL.search(text):
        raise ValidationError("must be one line without control characters")
    if not text.strip():
        raise ValidationError("must not be blank")
    if len(text) > MAX_LINE:
        raise ValidationError(f"must have at most {MAX_LINE} characters")


class Mailboxes(fields.Field[list[str]]):
    """Texts that `mailbox` parses: one or a list of them, loaded as a list."""

    def _deserialize(self, value: Any, *_args: Any, **_kwargs: Any) -> list[str]:
        given = [value] if isinstance(value, str) else value
        if not isinstance(given, list | tuple):
            raise ValidationError("expected an e-mail address, or a list of them")
        faults: dict[Any, list[str]] = {}
        for place, text in enumerate(given):
            try:
                mailbox(text if isinstance(text, str) else "")
            except ValidationError as fault:
                faults[place] = [str(message) for message in fault.messages]
        if faults:
            raise ValidationError(faults[0] if isinstance(value, str) else faults)
        return list(given)


def recipients_of(given: Mapping[str, Any]) -> dict[str, list[Mailbox]]:
    """Return the mailboxes of `to`, `cc` and `bcc`, which `Mailboxes` loaded, each address once.

    Of an address that is named twice, in whatever case, the first one stays, in the order `to`,
    `cc`, `bcc`.
    """
    kept: dict[str, list[Mailbox]] = {name: [] for name in RECIPIENT_FIELDS}
    known: set[str] = set()
    for name, boxes in kept.items():
        for box in map(mailbox, given.get(name, ())):
            if box.email.lower() not in known:
                known.add(box.email.lower())
                boxes.append(box)
    return kept
