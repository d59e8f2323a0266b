"""Validation of submissions against the declared fields of a form.

Also the data of the declared fields, as needed to render the form.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from marshmallow import EXCLUDE, Schema, ValidationError, fields

from adapters.contract.errors import InvalidSubmission
from adapters.contract.fields import rfc3339
from adapters.contract.form_inbound import FormField, Submission
from adapters.form.field_types import FIELD_TYPES, MISSING
from adapters.form.files import DEFAULT_ACCEPT, extensions
from adapters.form.settings import KINDS
from adapters.form.text_fields import FieldType


def form_field(name: str, declared: Mapping[str, Any]) -> FormField:
    """Return a declared field, completed with the defaults of its type."""
    kind = KINDS[declared["type"]]
    accept = declared.get("accept", DEFAULT_ACCEPT) if declared["type"] == "file" else ()
    return FormField(
        name=name,
        type=declared["type"],
        label=declared.get("label") or _label(name),
        required=declared["required"],
        choices=tuple(declared.get("choices", ())),
        least=declared.get("min"),
        most=declared.get("max", kind.longest if kind.sized else None),
        placeholder=declared.get("placeholder", ""),
        help=declared.get("help", ""),
        text=declared.get("text", ""),
        value=declared.get("value", ""),
        accept=extensions(accept),
    )


def _label(name: str) -> str:
    words = name.replace("_", " ").replace("-", " ").strip()
    return words[:1].upper() + words[1:]


# Types that keep a value of spaces only; in all others, such a value counts as missing.
_BLANK_COUNTS = frozenset({"text", "longtext", "email", "phone", "hidden"})


class Validator:
    """Validator of submissions: drops undeclared fields and rejects invalid values."""

    def __init__(self, declared: Mapping[str, Mapping[str, Any]]) -> None:
        self._declared = declared
        made = {
            # Not under its own name, which may clash with an attribute of marshmallow's schemas.
            f"field_{place}": _field(name, declaration)
            for place, (name, declaration) in enumerate(declared.items())
        }
        self._schema = Schema.from_dict(made)(unknown=EXCLUDE)

    def valid(self, submission: Submission, at: datetime) -> dict[str, Any]:
        """Return the values of the declared fields that were filled in, typed, in declared order.

        A text is unchanged; a number is a number or, where a float is not exact, a decimal string;
        a date is ISO 8601; choices are a list; a consent is a mapping of `given text at`, also if
        it was not given; files are their parts.

        Raises:
            InvalidSubmission: with a sentence for each invalid or missing field.
        """
        said = ((name, self._given(name, submission)) for name in self._declared)
        given = {name: value for name, value in said if value is not None}
        try:
            loaded: dict[str, Any] = self._schema.load(given)
        except ValidationError as error:
            raise InvalidSubmission(_faults(error.messages)) from None
        return {
            name: _consent(declaration, loaded, name, at)
            if declaration["type"] == "consent"
            else loaded[name]
            for name, declaration in self._declared.items()
            if name in loaded or declaration["type"] == "consent"
        }

    def _given(self, name: str, submission: Submission) -> Any:
        """Return the submitted value of a field, or None if it is empty."""
        value: Any = submission.values.get(name)
        kind = self._declared[name]["type"]
        if kind == "file" and name in submission.files:
            value = submission.files[name]
        elif isinstance(value, str) and kind not in _BLANK_COUNTS:
            value = value.strip()
        says_nothing = value == "" or (kind == "choices" and value == [])
        return None if says_nothing else value


def _consent(
    declared: Mapping[str, Any], loaded: Mapping[str, Any], name: str, at: datetime
) -> dict[str, Any]:
    given = bool(loaded.get(name, False))
    return {"given": given, "text": declared["text"], "at": rfc3339(at)}


def _field(name: str, declared: Mapping[str, Any]) -> fields.Field[Any]:
    field_type: type[FieldType] = FIELD_TYPES[declared["type"]]
    return field_type(
        declared,
        required=declared["required"],
        data_key=name,
        attribute=name,
        error_messages={"required": MISSING.get(declared["type"], MISSING["text"])},
    )


def _faults(messages: Any) -> dict[str, str]:
    return {str(name): str(sentences[0]) for name, sentences in messages.items()}
