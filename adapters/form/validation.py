"""The schema that a form's declared fields make, and the sentences that people read."""

import re
from collections.abc import Mapping
from typing import Any

from marshmallow import EXCLUDE, Schema, ValidationError, fields

from adapters.contract.errors import InvalidSubmission
from adapters.form.declaration import TYPES
from adapters.form.submission import Repeated

_SURROGATE = re.compile("[\ud800-\udfff]")
# A quoted local part may hold almost anything (RFC 5321, 4.1.2); no part holds a line break.
_EMAIL = re.compile(
    r"""(?:"(?:[^"\\\x00-\x1f\x7f]|\\[\x20-\x7e]){1,62}"|[^@\s"(),:;<>\[\\\]\x00-\x1f\x7f]{1,64})"""
    r"""@(?=[^@]{3,255}\Z)(?:[^@\s"(),:;<>\[\\\]\x00-\x1f\x7f.]{1,63}\.)+[^@\s"(),:;<>\[\\\]\x00-\x1f\x7f.]{2,63}\.?"""
)
_PHONE = re.compile(r"[0-9 ().+/-]{1,60}(?:(?:x|ext\.?) ?[0-9]{1,6})?", re.IGNORECASE)
_DIGITS = range(5, 21)

MISSING = "Please fill this in."
NO_TEXT = "This must be a text."
STRANGE = "This holds characters that cannot be kept."
LINES = "This must be a single line."


def is_email(value: str) -> bool:
    """Tell whether this has the form of an e-mail address; nobody is asked whether it exists."""
    return _EMAIL.fullmatch(value) is not None


class Typed(fields.Field[str]):
    """A text of at most `most` characters, taken as it came or not at all."""

    one_line = True

    def __init__(self, *, most: int, choices: frozenset[str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._most = most
        self._choices = choices

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> str:
        if isinstance(value, Repeated):
            raise ValidationError("This was sent twice.")
        if not isinstance(value, str):
            raise ValidationError(NO_TEXT)
        if "\x00" in value or _SURROGATE.search(value):
            raise ValidationError(STRANGE)
        if self.one_line and ("\n" in value or "\r" in value):
            raise ValidationError(LINES)
        if len(value) > self._most:
            raise ValidationError(f"This has {len(value)} characters; at most {self._most} fit.")
        if self.required and not value.strip():
            raise ValidationError(MISSING)
        if value.strip():
            self._check(value)
        return value

    def _check(self, value: str) -> None:
        """Accept a value of this type that is not blank."""


class LongText(Typed):
    one_line = False


class EmailAddress(Typed):
    def _check(self, value: str) -> None:
        if not is_email(value.strip()):
            raise ValidationError("Please enter an e-mail address like jane@example.com.")


class PhoneNumber(Typed):
    def _check(self, value: str) -> None:
        digits = sum(c.isdigit() for c in value)
        if not _PHONE.fullmatch(value.strip()) or digits not in _DIGITS:
            raise ValidationError("Please enter a phone number, such as +1 212 555 0123.")


class Choice(Typed):
    def _check(self, value: str) -> None:
        if value not in self._choices:
            raise ValidationError("Please take one of the choices.")


_FIELDS: Mapping[str, type[Typed]] = {
    "text": Typed,
    "longtext": LongText,
    "email": EmailAddress,
    "phone": PhoneNumber,
    "choice": Choice,
}


class Validator:
    """Tells the declared fields from all others, and good values from bad ones."""

    def __init__(self, declared: Mapping[str, Mapping[str, Any]]) -> None:
        self._declared = declared
        made = {
            # Not under its own name: one may be called like a part of marshmallow's schemas.
            f"field_{place}": _field(name, declaration)
            for place, (name, declaration) in enumerate(declared.items())
        }
        self._schema = Schema.from_dict(made)(unknown=EXCLUDE)  # type: ignore[arg-type]

    def valid(self, submitted: Mapping[str, Any]) -> dict[str, str]:
        """Return the declared fields that were filled in, as they came, in declared order.

        Raises:
            InvalidSubmission: with a sentence for each field that is wrong or missing.
        """
        given = {name: value for name, value in submitted.items() if value not in ("", None)}
        try:
            loaded: dict[str, str] = self._schema.load(given)
        except ValidationError as error:
            raise InvalidSubmission(_faults(error.messages)) from None
        return {name: loaded[name] for name in self._declared if name in loaded}


def _field(name: str, declaration: Mapping[str, Any]) -> Typed:
    kind = declaration["type"]
    return _FIELDS[kind](
        most=declaration.get("max", TYPES[kind]),
        choices=frozenset(declaration.get("choices", ())),
        required=declaration["required"],
        data_key=name,
        attribute=name,
        error_messages={"required": MISSING},
    )


def _faults(messages: Any) -> dict[str, str]:
    return {str(name): str(sentences[0]) for name, sentences in messages.items()}
