"""Text fields of a form; a value is stored unchanged, or rejected with a message to the visitor."""

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from marshmallow import ValidationError, fields

from adapters.contract.form_inbound import Repeated
from adapters.form.patterns import matcher
from adapters.form.settings import longest

_SURROGATE = re.compile("[\ud800-\udfff]")
# A quoted local part may contain almost anything (RFC 5321, 4.1.2); no part has a line break.
_EMAIL = re.compile(
    r"""(?:"(?:[^"\\\x00-\x1f\x7f]|\\[\x20-\x7e]){1,62}"|[^@\s"(),:;<>\[\\\]\x00-\x1f\x7f]{1,64})"""
    r"""@(?=[^@]{3,255}\Z)(?:[^@\s"(),:;<>\[\\\]\x00-\x1f\x7f.]{1,63}\.)+[^@\s"(),:;<>\[\\\]\x00-\x1f\x7f.]{2,63}\.?"""
)
_PHONE = re.compile(r"[0-9 ().+/-]{1,60}(?:(?:x|ext\.?) ?[0-9]{1,6})?", re.IGNORECASE)
_DIGITS = range(5, 21)

FILL_IN = "Please fill this in."
NO_TEXT = "This must be a text."
STRANGE = "This holds characters that cannot be kept."
LINES = "This must be a single line."
TWICE = "This was sent twice."
SHAPE = "This does not look as it should."


def is_email(value: str) -> bool:
    """Return whether `value` has the syntax of an e-mail address; its existence is not checked."""
    return _EMAIL.fullmatch(value) is not None


class FieldType(fields.Field[Any], ABC):
    """Field that is built from its declaration."""

    def __init__(self, declared: Mapping[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.declared = declared

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> Any:
        return self.clean(value)

    @abstractmethod
    def clean(self, value: Any) -> Any:
        """Validate a value that is not empty, and return the value to store.

        Raises:
            ValidationError: with a sentence for the visitor, which does not repeat the value.
        """


def one_text(value: Any, most: int) -> str:
    """Require a single string that can be stored and has at most `most` characters.

    Raises:
        ValidationError: `value` is anything else.
    """
    if isinstance(value, Repeated):
        raise ValidationError(TWICE)
    if not isinstance(value, str):
        raise ValidationError(NO_TEXT)
    if "\x00" in value or _SURROGATE.search(value):
        raise ValidationError(STRANGE)
    # A browser counts a line break as one character.
    count = len(value.replace("\r\n", "\n"))
    if count > most:
        raise ValidationError(f"This has {count} characters; at most {most} fit.")
    return value


class TextField(FieldType):
    """Text on one line."""

    one_line = True

    def __init__(self, declared: Mapping[str, Any], **kwargs: Any) -> None:
        super().__init__(declared, **kwargs)
        self._most = longest(declared)
        self._least = declared.get("min", 0)
        self._matches = matcher(declared["pattern"]) if "pattern" in declared else None

    def clean(self, value: Any) -> str:
        text = one_text(value, self._most)
        if self.one_line and ("\n" in text or "\r" in text):
            raise ValidationError(LINES)
        if self.required and not text.strip():
            raise ValidationError(FILL_IN)
        if text.strip():
            self.check(text)
        return text

    def check(self, value: str) -> None:
        """Validate a value of this type that is not blank.

        Raises:
            ValidationError: with a sentence for the visitor.
        """
        if len(value) < self._least:
            raise ValidationError(f"This has {len(value)} characters; at least {self._least} do.")
        if self._matches and not self._matches(value):
            raise ValidationError(f"{SHAPE} {self.declared.get('help', '')}".strip())


class LongTextField(TextField):
    one_line = False


class EmailField(TextField):
    def check(self, value: str) -> None:
        if not is_email(value.strip()):
            raise ValidationError("Please enter an e-mail address like jane@example.com.")
        super().check(value)


class PhoneField(TextField):
    def check(self, value: str) -> None:
        digits = sum(c.isdigit() for c in value)
        if not _PHONE.fullmatch(value.strip()) or digits not in _DIGITS:
            raise ValidationError("Please enter a phone number, such as +1 212 555 0123.")
        super().check(value)
