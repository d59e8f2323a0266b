"""The canonical fields of a lead, out of what a form's own fields say."""

import re
import unicodedata
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from adapters.contract.fields import phone_e164, text
from adapters.form.validation import is_email

UTM = ("source", "medium", "campaign", "term", "content")
MAX_URL = 2048
MAX_UTM = 255

_UNPRINTABLE = re.compile(r"[\x00-\x20\x7f\ud800-\udfff]")


def canonical(
    declared: Mapping[str, Mapping[str, Any]],
    filled: Mapping[str, str],
    submitted: Mapping[str, Any],
    referer: str | None,
) -> dict[str, Any]:
    """Return `name email phone message page referrer utm`, each only if it is known.

    Each is the field of that name; without one, the only field of that type. What was typed stays
    under `fields`; here an e-mail address is NFC with its domain lower-cased, and a phone number
    is left out if it does not say its country.
    """
    email = _first(declared, filled, "email", "email")
    phone = _first(declared, filled, "phone", "phone")
    page = _url(submitted.get("_page")) or _url(referer)
    values = {
        "name": text(filled.get("name")),
        "email": _email(email) if email else None,
        "phone": phone_e164(phone),
        "message": text(_first(declared, filled, "message", "longtext")),
        "page": page,
        "referrer": _url(submitted.get("_referrer")),
        "utm": _utm(declared, submitted, page) or None,
    }
    return {name: value for name, value in values.items() if value is not None}


def _first(
    declared: Mapping[str, Mapping[str, Any]], filled: Mapping[str, str], name: str, kind: str
) -> str | None:
    if name in declared:
        return filled.get(name)
    of_kind = [other for other, declaration in declared.items() if declaration["type"] == kind]
    return filled.get(of_kind[0]) if len(of_kind) == 1 else None


def _email(typed: str) -> str | None:
    address = unicodedata.normalize("NFC", typed.strip())
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


def _utm(
    declared: Mapping[str, Any], submitted: Mapping[str, Any], page: str | None
) -> dict[str, str]:
    """Return the campaign, out of hidden `utm_...` fields, else out of the page's address."""
    query = dict(parse_qsl(urlsplit(page).query)) if page else {}
    found = {}
    for key in UTM:
        name = f"utm_{key}"
        value = submitted.get(name) or query.get(name)
        if name not in declared and isinstance(value, str) and _is_word(value):
            found[key] = value
    return found


def _is_word(value: str) -> bool:
    return value.isprintable() and 0 < len(value) <= MAX_UTM
