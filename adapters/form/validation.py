"""Declared fields as those see them who draw the form.

The schema that a form's declared fields make: what is taken, as what, and what is not.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from marshmallow import EXCLUDE, Schema, ValidationError, fields

from adapters.contract.errors import InvalidSubmission
from adapters.contract.fields import rfc3339
from adapters.contract.form_inbound import FormField
from adapters.form.field_types import FIELD_TYPES, MISSING
from adapters.form.files import DEFAULT_ACCEPT, extensions
from adapters.form.settings import KINDS
from adapters.form.submission import Submission
from adapters.form.text_fields import FieldType


def form_field(name: str, declared: Mapping[str, Any]) -> FormField:
    """Return a declared field with all that its type implies."""
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


# The types that keep what holds spaces alone; of all others it says nothing.
_BLANK_COUNTS = frozenset({"text", "longtext", "email", "phone", "hidden"})


class Validator:
    """Tells the declared fields from all others, and good values from bad ones."""

    def __init__(self, declared: Mapping[str, Mapping[str, Any]]) -> None:
        self._declared = declared
        made = {
            # Not under its own name: one may be called like a part of marshmallow's schemas.
            f"field_{place}": _field(name, declaration)
            for place, (name, declaration) in enumerate(declared.items())
        }
        self._schema = Schema.from_dict(made)(unknown=EXCLUDE)

    def valid(self, submission: Submission, at: datetime) -> dict[str, Any]:
        """Return the declared fields that were filled in, typed, in declared order.

        A text is as it came; a number is a number or, where that is not exact, a decimal text;
        a date is ISO; choices are a list; a consent says `given text at`, also when it was not
        given; files are their parts.

        Raises:
            InvalidSubmission: with a sentence for each field that is wrong or missing.
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
        """Return what came under a name, None when it says nothing."""
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
