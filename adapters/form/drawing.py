"""Declared fields as those see them who draw the form."""

from collections.abc import Mapping
from typing import Any

from adapters.contract.form_inbound import FormField
from adapters.form.files import DEFAULT_ACCEPT, extensions
from adapters.form.kinds import KINDS


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
