"""The canonical fields of a lead, out of what a form's own fields say."""

import re
import unicodedata
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from adapters.contract.fields import phone_e164, text
from adapters.form.submission import Submission
from adapters.form.text_fields import is_email

UTM = ("source", "medium", "campaign", "term", "content")
MAX_URL = 2048
MAX_UTM = 255

Declared = Mapping[str, Mapping[str, Any]]

_UNPRINTABLE = re.compile(r"[\x00-\x20\x7f\ud800-\udfff]")


def canonical(
    declared: Declared, filled: Mapping[str, Any], submission: Submission, referer: str | None
) -> dict[str, Any]:
    """Return `name email phone message page referrer utm consent`, each only if it is known.

    Each is the field of that name; without one, the only field of that type. What was typed stays
    under `fields`; here an e-mail address is NFC with its domain lower-cased, and a phone number
    is left out if it does not say its country. `page` is an address of at most 2,048 characters.
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
    """Return the phone number of a lead as E.164, None if it does not say its country."""
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
    address = unicodedata.normalize("NFC", typed.strip()) if isinstance(typed, str) else ""
    if not is_email(address):
        return None
    local, _, domain = address.rpartition("@")
    return f"{local}@{domain.lower()}"


def _url(value: Any) -> str | None:
    """Return an http or https address without a password, None for anything else."""
    if not isinstance(value, str) or len(value) > MAX_URL or _UNPRINTABLE.search(value):
        return None
    try:
        parts = urlsplit(value)
    except ValueError:
        return None
    known = parts.scheme in ("http", "https") and parts.hostname and "@" not in parts.netloc
    return value if known else None


def _utm(declared: Declared, submission: Submission, page: str | None) -> dict[str, str]:
    """Return the campaign, out of hidden `utm_...` fields, else out of the page's address."""
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
