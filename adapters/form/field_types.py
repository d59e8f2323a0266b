"""Field types with values other than plain text: choices, numbers, dates, consents and files."""

import re
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from marshmallow import ValidationError

from adapters.contract.form_bodies import Part
from adapters.contract.form_inbound import Repeated
from adapters.form.files import DEFAULT_ACCEPT, DEFAULT_BYTES, extensions, has_extension, size_bytes
from adapters.form.settings import KINDS
from adapters.form.text_fields import (
    FILL_IN,
    EmailField,
    FieldType,
    LongTextField,
    PhoneField,
    TextField,
    one_text,
)

_DECIMAL = re.compile(r"[+-]?[0-9]{1,18}(?:\.[0-9]{1,18})?", re.ASCII)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_NOT_GIVEN = frozenset({"0", "false", "no", "off"})
_EXACT = 2**53
_KB, _MB = 1024, 1024 * 1024

MISSING = {
    "text": FILL_IN,
    "choice": "Please take one of the choices.",
    "choices": "Please take at least one of the choices.",
    "consent": "Please tick this if you agree; without it this cannot be sent.",
    "file": "Please choose a file.",
}


def _no_choice(value: str, choices: Sequence[str]) -> None:
    if value not in choices:
        raise ValidationError("Please take one of the choices.")


class ChoiceField(FieldType):
    def clean(self, value: Any) -> str:
        text = one_text(value, KINDS["choice"].longest)
        _no_choice(text, self.declared["choices"])
        return text


class Choices(FieldType):
    """Any number of choices, in the order of the declaration; in JSON, a list."""

    def clean(self, value: Any) -> list[str]:
        many = value.values if isinstance(value, Repeated) else value
        given = many if isinstance(many, list | tuple) else (many,)
        taken = {one_text(one, KINDS["choices"].longest) for one in given}
        for text in taken:
            _no_choice(text, self.declared["choices"])
        least, most = self.declared.get("min", 0), self.declared.get("max", len(taken))
        if not least <= len(taken) <= most:
            said = f"at least {least}" if len(taken) < least else f"at most {most}"
            raise ValidationError(f"Please take {said} of the choices.")
        return [choice for choice in self.declared["choices"] if choice in taken]


class Number(FieldType):
    """Number; a value that a float cannot represent exactly stays a decimal string."""

    def clean(self, value: Any) -> int | float | str:
        plain = isinstance(value, int | float) and not isinstance(value, bool)
        text = one_text(repr(value) if plain else value, KINDS["number"].longest).strip()
        if not _DECIMAL.fullmatch(text):
            raise ValidationError("Please enter a number, such as 12 or 12.5.")
        number = Decimal(text)
        for key, word in (("min", "less than"), ("max", "more than")):
            bound = self.declared.get(key)
            if bound is not None and (number < _exact(bound) if key == "min" else
                                      number > _exact(bound)):  # fmt: skip
                raise ValidationError(f"This must not be {word} {bound}.")
        return _number(number)


def _exact(bound: float) -> Decimal:
    return Decimal(repr(bound))


def _number(number: Decimal) -> int | float | str:
    if number == number.to_integral_value() and abs(number) <= _EXACT:
        return int(number)
    near = float(number)
    if Decimal(repr(near)) == number:
        return near
    # `normalize` would round it to 28 digits.
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


class Date(FieldType):
    def clean(self, value: Any) -> str:
        text = one_text(value, KINDS["date"].longest)
        try:
            given = date.fromisoformat(text if _DATE.fullmatch(text) else "")
        except ValueError:
            raise ValidationError("Please enter a date like 2026-11-20.") from None
        least, most = self.declared.get("min"), self.declared.get("max")
        if least is not None and given < date.fromisoformat(str(least)):
            raise ValidationError(f"This must not be before {least}.")
        if most is not None and given > date.fromisoformat(str(most)):
            raise ValidationError(f"This must not be after {most}.")
        return text


class Consent(FieldType):
    """Checkbox for a consent. A browser sends a value only if the box is ticked."""

    def clean(self, value: Any) -> bool:
        if isinstance(value, bool):
            given = value
        else:
            text = one_text(value, KINDS["consent"].longest)
            given = text.strip().casefold() not in _NOT_GIVEN
        if self.required and not given:
            raise ValidationError(MISSING["consent"])
        return given


class FileField(FieldType):
    """Upload of one or several files of the accepted types."""

    def __init__(self, declared: Mapping[str, Any], **kwargs: Any) -> None:
        super().__init__(declared, **kwargs)
        self._allowed = frozenset(extensions(declared.get("accept", DEFAULT_ACCEPT)))
        self._most_bytes = size_bytes(declared.get("max_bytes", DEFAULT_BYTES))

    def clean(self, value: Any) -> Sequence[Part]:
        if not isinstance(value, list) or not all(isinstance(one, Part) for one in value):
            raise ValidationError("The file itself did not arrive.")
        least, most = self.declared.get("min", 0), self.declared.get("max", 1)
        if len(value) > most:
            raise ValidationError(f"These are {len(value)} files; at most {most} can be sent.")
        if len(value) < least:
            raise ValidationError(f"Please choose at least {least} files.")
        for part in value:
            self._check(part)
        return value

    def _check(self, part: Part) -> None:
        if not has_extension(part.filename or "", self._allowed):
            kinds = ", ".join(sorted(one[1:] for one in self._allowed))
            raise ValidationError(f"Files of this kind cannot be sent; these can: {kinds}.")
        if not part.content:
            raise ValidationError("This file is empty.")
        if len(part.content) > self._most_bytes:
            raise ValidationError(f"A file may have {_size(self._most_bytes)}; this one has more.")


def _size(count: int) -> str:
    if count >= _MB:
        return f"{count / _MB:.3g} MB"
    return f"{count / _KB:.3g} kB" if count >= _KB else f"{count} bytes"


FIELD_TYPES: Mapping[str, type[FieldType]] = {
    "text": TextField,
    "longtext": LongTextField,
    "email": EmailField,
    "phone": PhoneField,
    "choice": ChoiceField,
    "choices": Choices,
    "number": Number,
    "date": Date,
    "consent": Consent,
    "hidden": TextField,
    "file": FileField,
}
