"""Redaction of personal data in JSON trees: masks the values, keeps the structure.

Masked are all texts and numbers under a key that names personal data (`email`, `From`, `fields`),
and e-mail addresses and phone numbers anywhere in a text. When in doubt, a value is masked: a
number of seven digits may be a phone number.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

MASK = "•••"

_PERSONAL = frozenset(
    # identity
    "name names firstname lastname fullname surname forename nickname profilename username "
    "salutation birthday birthdate birth dob gender company organization "
    # contact data and location
    "email emails mail phone phones tel telephone mobile cell fax whatsapp wa caller called "
    "address addresses street line1 line2 line3 city town zip postcode postal province latitude "
    "longitude location ip forwarded "
    # messages and their senders and recipients
    "from to by cc bcc sender recipient recipients envelope message messages comment comments note "
    "notes question questions answer answers body text html subject content media attachments "
    "headers fields properties property value values description personalizations substitutions "
    "variables".split()
)
_TECHNICAL = frozenset({"contenttype", "contentlength", "contentencoding"})
_WORDS = re.compile(r"[A-Z]?[a-z]+[0-9]*|[A-Z]+(?![a-z])[0-9]*|[^\W_]+")
_TOKEN = re.compile(r"\S+")
_AT = ("@", "＠", "%40", "&#64;", "&#x40;", "&commat;", "\\u0040")
_NUMBERS = re.compile(
    r"(?P<id>"
    r"(?<![0-9A-Za-z])[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}(?![0-9A-Za-z])"
    r"|(?<![0-9A-Za-z])(?:[A-Z]{2})?[0-9a-f]{32}(?![0-9A-Za-z])"
    r"|(?<![\d+(.-])(?:19|20)[0-9]{2}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
    r"(?:[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,9})?)?(?:Z|[+-][0-9]{2}:?[0-9]{2})?"
    r"(?!\d)|(?![\s().-]{0,3}\d)))"
    r"|(?P<phone>\+?[(]?\d(?:[\s().\-/\u00b7\u2010-\u2015]{0,3}\d){6,})"
)


def redact(value: Any) -> Any:
    """Return a tree with personal data masked; its structure, booleans and nulls are kept."""
    return _redacted(value, within=False)


def mask_all(value: Any) -> Any:
    """Return a tree with every text and number masked, for the fields of a form submission."""
    return _redacted(value, within=True)


def redact_text(text: str) -> str:
    """Return a text with its e-mail addresses and phone numbers masked."""
    return _NUMBERS.sub(_without_phone, _TOKEN.sub(_without_email, text))


def is_personal(key: str) -> bool:
    """Return whether a key, in any spelling (`first_name`, `FromCity`), names personal data."""
    if "".join(filter(str.isalnum, key)).lower() in _TECHNICAL:
        return False
    words = {word.lower() for word in _WORDS.findall(key)}
    return not _PERSONAL.isdisjoint(words) or key.lower() in _PERSONAL


def _redacted(value: Any, *, within: bool) -> Any:
    if isinstance(value, str):
        return MASK if within and value else redact_text(value)
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, Mapping):
        return dict(_entries(value, within=within))
    if isinstance(value, list | tuple):
        return [_redacted(item, within=within) for item in value]
    if isinstance(value, int | float) and not within:
        return value
    return MASK


def _entries(value: Mapping[Any, Any], *, within: bool) -> Iterator[tuple[str, Any]]:
    taken: set[str] = set()
    for key, item in value.items():
        shown = redact_text(str(key))
        # Two different addresses as keys are masked alike: keep both entries.
        while shown in taken:
            shown += MASK
        taken.add(shown)
        yield shown, _redacted(item, within=within or is_personal(str(key)))


def _without_email(token: re.Match[str]) -> str:
    text = token[0]
    return MASK if any(at in text for at in _AT) else text


def _without_phone(found: re.Match[str]) -> str:
    return MASK if found["phone"] else found[0]
