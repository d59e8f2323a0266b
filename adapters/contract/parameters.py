"""What parameters of several providers' actions accept, as marshmallow fields and validators."""

import re
from typing import Any

from marshmallow import ValidationError, fields

_EMAIL = re.compile(r"[^\s@/\x00-\x1f\x7f]{1,64}@[^\s@/\x00-\x1f\x7f]{1,255}")
_DIGITS = re.compile(r"[0-9]{1,15}", re.ASCII)


class Minor(fields.Field[int]):
    """An amount of money: a whole number in the currency's minor unit, also as a text.

    Of 15 digits at most: a JSON number holds it exactly, with its decimals.
    """

    def _deserialize(self, value: Any, *_args: Any, **_kwargs: Any) -> int:
        written = str(value) if type(value) in (int, str) else ""
        if not _DIGITS.fullmatch(written):
            raise ValidationError("expected a whole number in the minor unit: 1050 is 10.50 USD")
        return int(written)


def check_email(email: str) -> None:
    """Accept an e-mail address in one line.

    Raises:
        ValidationError: it is none.
    """
    if not _EMAIL.fullmatch(email.strip()) or not email.isprintable():
        raise ValidationError("expected an e-mail address like jane@example.org")


def check_said(text: str) -> None:
    """Accept a text that says something.

    Raises:
        ValidationError: it is empty.
    """
    if not text.strip():
        raise ValidationError("must not be empty")
