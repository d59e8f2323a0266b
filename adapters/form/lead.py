"""Canonical fields of a lead, derived from the fields of its form."""

import re
import unicodedata
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from adapters.contract.fields import phone_e164, text
from adapters.contract.form_inbound import Submission
from adapters.form.text_fields import is_email

UTM = ("source", "medium", "campaign", "term", "content")
MAX_URL = 2048
MAX_UTM = 255
MAX_EMAIL = 1000

Declared = Mapping[str, Mapping[str, Any]]

_UNPRINTABLE = re.compile(r"[\x00-\x20\x7f\ud800-\udfff]")


def canonical(
    declared: Declared, filled: Mapping[str, Any], submission: Submission, referer: str | None
) -> dict[str, Any]:
    """Return the canonical fields `name email phone message page referrer utm consent`, if known.

    Each is taken from the field of that name or, without one, from the only field of that type.
    The submitted values stay under `fields`; here an e-mail address is NFC with its domain in
    lower case, and a phone number without a country code is left out. `page` is a URL of at most
    2,048 characters.
    """
    page = _url(submission.get("_page")) or _url(referer)
    values = {
        "name": text(filled.get("name")),
        "email": _email(_first(declared, filled, "email", "email")),
        "phone": lead_phone(declared, filled),
        "message": text(_first(declared, filled, "message", "longtext")),
        "page": page,
        "referrer": _url(submission.get("_referrer")),
        "utm": _utm(declared, submission, page) or None,
        "consent": _first(declared, filled, "consent", "consent", kinds=("consent",)),
    }
    return {name: value for name, value in values.items() if value is not None}


def lead_phone(declared: Declared, filled: Mapping[str, Any]) -> str | None:
    """Return the phone number of a lead in E.164, or None if it has no country code."""
    return phone_e164(_first(declared, filled, "phone", "phone"))


def _first(
    declared: Declared,
    filled: Mapping[str, Any],
    name: str,
    kind: str,
    *,
    kinds: tuple[str, ...] = ("text", "longtext", "email", "phone", "hidden", "choice"),
) -> Any:
    if name in declared and declared[name]["type"] in kinds:
        return filled.get(name)
    of_kind = [other for other, declaration in declared.items() if declaration["type"] == kind]
    return filled.get(of_kind[0]) if len(of_kind) == 1 else None


def _email(typed: Any) -> str | None:
    # Normalizing takes long where thousands of accents stand on one letter.
    if not isinstance(typed, str) or len(typed) > MAX_EMAIL:
        return None
    address = unicodedata.normalize("NFC", typed.strip())
    if not is_email(address):
        return None
    local, _, domain = address.rpartition("@")
    return f"{local}@{domain.lower()}"


def _url(value: Any) -> str | None:
    """Return an http or https URL without credentials, None for anything else."""
    if not isinstance(value, str) or len(value) > MAX_URL or _UNPRINTABLE.search(value):
        return None
    try:
        parts = urlsplit(value)
    except ValueError:
        return None
    known = parts.scheme in ("http", "https") and parts.hostname and "@" not in parts.netloc
    return value if known else None


def _utm(declared: Declared, submission: Submission, page: str | None) -> dict[str, str]:
    """Return the UTM parameters, from hidden `utm_...` fields or else from the page's URL."""
    query = dict(parse_qsl(urlsplit(page).query)) if page else {}
    found = {}
    for key in UTM:
        name = f"utm_{key}"
        value = submission.get(name) or query.get(name)
        if isinstance(value, str) and _is_word(value):
            found[key] = value
    return found


def _is_word(value: str) -> bool:
    return value.isprintable() and 0 < len(value) <= MAX_UTM
