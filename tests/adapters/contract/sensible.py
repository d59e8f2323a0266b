"""Rules for the data of canonical events: each field holds what its name says."""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

from adapters.contract.event import EVENT_TYPES, Event

LONGEST_NAME = 80
MOST_WORDS = 8
LONGEST_CODE = 60
LONGEST_ID = 255

_EMAIL = re.compile(r"[^\s@<>,]{1,64}@[^\s@<>,A-Z]{1,255}")
_PHONE = re.compile(r"\+[1-9][0-9]{6,14}")
_URL = re.compile(r"https?://[^\s/?#]+[^\s]*")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?Z")
_CURRENCY = re.compile(r"[A-Z]{3}")
_ID = re.compile(r"\S+")
_WEB = re.compile(r"https?:|www\.|\S@\S", re.IGNORECASE)
_PROSE = ("message", "body", "text", "subject", "reason", "transcription")
_WORDS = {
    "channel": {"sms", "mms", "whatsapp", "rcs", "voice"},
    "direction": {"in", "out"},
    "kind": {"hard", "soft", "blocked"},
}


def complaints(event: Event) -> list[str]:
    """Return a sentence for each field of a canonical event that holds something else."""
    if event.type not in EVENT_TYPES:
        return []
    data = {name: value for name, value in event.data.items() if name != "native"}
    found = [*_blank(data), *_money(data), *_name(data), *_parties(event.type, data)]
    for name, check in CHECKS.items():
        if name in data and (complaint := check(data[name])):
            found.append(f"{name}: {complaint}")
    for path, value in _times(data):
        if complaint := _time(value):
            found.append(f"{path}: {complaint}")
    return found


def _fitting(pattern: re.Pattern[str], what: str) -> Callable[[Any], str | None]:
    def check(value: Any) -> str | None:
        fits = isinstance(value, str) and pattern.fullmatch(value)
        return None if fits else f"is no {what}"

    return check


def _code(value: Any) -> str | None:
    if not isinstance(value, str) or not value.isprintable() or len(value) > LONGEST_CODE:
        return "is no word of the provider's"
    return "is a sentence" if len(value.split()) > 3 else None


def _id(value: Any) -> str | None:
    if not isinstance(value, str) or not _ID.fullmatch(value) or len(value) > LONGEST_ID:
        return "is no id: a text without spaces"
    return None


def _whole(value: Any) -> str | None:
    return None if type(value) is int and value >= 0 else "is no whole number"


def _media(value: Any) -> str | None:
    urls = [item.get("url") for item in value] if isinstance(value, list) else [None]
    return next((complaint for url in urls if (complaint := _url(url))), None)


def _items(value: Any) -> str | None:
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        return "is no list of objects"
    names = [item["name"] for item in value if "name" in item]
    return None if all("\n" not in name for name in names) else "a name has a line break"


def _texts(value: Any) -> str | None:
    fits = isinstance(value, list) and all(_code(item) is None for item in value)
    return None if fits else "is no list of words"


_url = _fitting(_URL, "http or https address")
_email = _fitting(_EMAIL, "e-mail address")
_phone = _fitting(_PHONE, "telephone number in E.164")
_time_text = _fitting(_TIME, "time in UTC as RFC 3339")

CHECKS: Mapping[str, Callable[[Any], str | None]] = {
    "email": _email,
    "phone": _phone,
    **dict.fromkeys(("url", "page", "referrer", "recording_url"), _url),
    **dict.fromkeys(("customer_id", "object_id", "message_id", "delivery_id", "account"), _id),
    **dict.fromkeys(("hub_attempt", "error_code"), _id),
    **dict.fromkeys(("status", "number", "plan", *_WORDS), _code),
    "currency": _fitting(_CURRENCY, "ISO 4217 code in capitals"),
    **dict.fromkeys(("amount", "duration_s"), _whole),
    "media": _media,
    "items": _items,
    "changed": _texts,
}


def _time(value: Any) -> str | None:
    if complaint := _time_text(value):
        return complaint
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return "is no time that exists"
    return None


def _times(data: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in data.items():
        if name == "at" or name.endswith("_at"):
            yield f"{path}{name}", value
        if name == "consent" and isinstance(value, dict):
            yield from _times(value, f"{name}.")


def _blank(data: Mapping[str, Any]) -> Iterator[str]:
    for name, value in data.items():
        if value is None or (isinstance(value, str) and not value.strip()):
            yield f"{name}: says nothing; leave it out"
        if name in _WORDS and value not in _WORDS[name]:
            yield f"{name}: expected one of {', '.join(sorted(_WORDS[name]))}"


def _money(data: Mapping[str, Any]) -> Iterator[str]:
    if "amount" in data and "currency" not in data:
        yield "amount: has no currency beside it"


def _name(data: Mapping[str, Any]) -> Iterator[str]:
    name = data.get("name")
    if name is None:
        return
    if not isinstance(name, str) or not name.isprintable() or len(name) > LONGEST_NAME:
        yield f"name: is no text of one line, {LONGEST_NAME} characters at most"
        return
    if _WEB.search(name):
        yield "name: holds an address"
    if len(name.split()) > MOST_WORDS or name.endswith(("?", "!")):
        yield "name: is a sentence"
    if name in [data.get(other) for other in _PROSE]:
        yield "name: is what the person wrote"


def _parties(kind: str, data: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with who wrote or called, and to whom."""
    check = _email if kind.startswith("email.") else _phone
    for name in ("from", "to"):
        value = data.get(name, [])
        for one in value if isinstance(value, list) else [value]:
            if complaint := check(one):
                yield f"{name}: {complaint}"
