"""Recipients of messages: which numbers may be texted, and which recipients are the business's own.

Addresses are compared as providers deliver to them, so that one mailbox is counted as one however
it is written.
"""

import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from hub.core.configuration import Configuration

_E164 = re.compile(r"\+[1-9][0-9]{6,14}", re.ASCII)
_NUMBER = re.compile(rf"{_E164.pattern}(?![0-9{{])", re.ASCII)
# An address in the text of a template, where quotes and braces are around it.
_WRITTEN_ADDRESS = re.compile(
    r"[^\s@<>\"'(),;:\\\[\]{}|]{1,64}@[^\s@<>\"'(),;:\\\[\]{}|/?#]{1,255}"
)
_LAST_DIGITS = 4
# Providers that take several names for one, or have several domains for it: how they read a name,
# and the domains, of which the first one is counted.
_PROVIDERS: tuple[tuple[dict[int, Any], tuple[str, ...]], ...] = (
    (str.maketrans("", "", "."), ("gmail.com", "googlemail.com")),
    (str.maketrans("", "", ".-_"), ("proton.me", "protonmail.com", "protonmail.ch", "pm.me")),
    (str.maketrans("-", "."), ("yandex.ru", "yandex.com", "yandex.by", "yandex.kz", "ya.ru")),
    ({}, ("icloud.com", "me.com", "mac.com")),
)
_BY_DOMAIN = {one: (names, every[0]) for names, every in _PROVIDERS for one in every}
# Fastmail delivers anything@jane.fastmail.com to jane@fastmail.com; `-` stands for `_` there.
_FASTMAIL = re.compile(
    r"(?:(?:.+\.)?(?P<user>[^.]+)\.)?(?P<domain>fastmail\.[a-z]{2,3}(?:\.[a-z]{2})?|sent\.com)"
)
_DOTS = re.compile("[.\u3002]")
# What is shown as nothing, beside the characters of the category Cf (Unicode,
# Default_Ignorable_Code_Point).
_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0000-\U000e0fff]"
)


def refusal_of(number: str, countries: Collection[str]) -> str | None:
    """Return the reason to refuse a telephone number, None if a text message may be sent to it.

    The reason never contains the number. Premium-rate, toll-free, satellite, personal and
    unassigned ranges are refused in every country. Countries that share a calling code are told
    apart.
    """
    # Imported late: slow to import, and many configurations never use it.
    import phonenumbers
    from phonenumbers import PhoneNumberType as Kind

    if not _E164.fullmatch(number):
        return "it is no telephone number like +12025550123"
    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return "it is a number of no country"
    ordinary = (Kind.FIXED_LINE, Kind.MOBILE, Kind.FIXED_LINE_OR_MOBILE, Kind.VOIP)
    if phonenumbers.number_type(parsed) not in ordinary:
        return "it is a number of a premium, personal or other odd range"
    if phonenumbers.region_code_for_number(parsed) not in countries:
        return f"it is a number of another country than {', '.join(sorted(countries))}"
    return None


def number_in(parameters: Mapping[str, Any], name: str) -> str:
    """Return the telephone number of a parameter without its channel (`whatsapp:`), "" if none."""
    given = parameters.get(name)
    return given.rpartition(":")[2] if isinstance(given, str) else ""


def prefix_of(number: str) -> str:
    """Return a number without its last digits, the prefix shared with neighbouring numbers."""
    return number[:-_LAST_DIGITS]


def mailbox_key(email: str) -> str:
    """Return the name of the mailbox that an e-mail address is delivered to, for counters alone.

    Case, invisible characters and a `+tag` (RFC 5233) make no other mailbox, nor do the spellings
    that its provider takes for one; an international domain is named in ASCII. Providers that tell
    such addresses apart are counted too high.
    """
    local, _, domain = email.strip().rpartition("@")
    local, domain = _folded(local), _domain_key(domain)
    if found := _FASTMAIL.fullmatch(domain):
        local, domain = (found["user"] or local).replace("_", "-"), found["domain"]
    local = local.partition("+")[0] or local
    names, domain = _BY_DOMAIN.get(domain, ({}, domain))
    return f"{local.translate(names) or local}@{domain}"


def recipient_key(text: str) -> str:
    """Return the key of one recipient of an e-mail: its mailbox's, else the id that it is."""
    return mailbox_key(text) if "@" in text else _folded(text.strip())


def recipient_keys(texts: Iterable[str]) -> list[str]:
    """Return the key of each recipient once, in their order."""
    return list(dict.fromkeys(map(recipient_key, texts)))


def own_numbers(configuration: Configuration, parameters: Collection[str]) -> frozenset[str]:
    """Return the telephone numbers in hub.yaml: those of people, and those that routes text.

    `parameters` are those that hold recipients. Of a template its literal numbers count, as in
    `{{ '+12025550101' if data.urgent else data.phone }}`. A section of hub.yaml that names
    recipients of the business belongs here, and in `own_recipients`.
    """
    numbers = {one.phone for one in configuration.people.values() if one.phone}
    for text in _written(configuration, parameters):
        numbers |= {text.rpartition(":")[2], *_NUMBER.findall(text)}
    return frozenset(numbers - {""})


def own_recipients(configuration: Configuration, parameters: Collection[str]) -> frozenset[str]:
    """Return the keys of the recipients of e-mails in hub.yaml, found as `own_numbers` finds them.

    An id is one if it stands there alone.
    """
    texts = {one.email for one in configuration.people.values() if one.email}
    for text in _written(configuration, parameters):
        texts |= set(_WRITTEN_ADDRESS.findall(text)) if "@" in text or "{" in text else {text}
    return frozenset(map(recipient_key, texts)) - {""}


def _written(configuration: Configuration, parameters: Collection[str]) -> Iterator[str]:
    """Yield what stands in these parameters of all routes, as it stands there."""
    for route in configuration.routes.values():
        for name in sorted(route.parameters.tree.keys() & set(parameters)):
            node = route.parameters.tree[name]
            yield from (one for one in _flat(node) if isinstance(one, str))


def _flat(node: Any) -> Iterator[Any]:
    if isinstance(node, list | tuple):
        for item in node:
            yield from _flat(item)
    else:
        yield node


def _folded(text: str) -> str:
    folded = unicodedata.normalize("NFKC", _visible(text)).casefold()
    return _visible(unicodedata.normalize("NFKC", folded))


def _visible(text: str) -> str:
    if text.isascii():
        return text
    return _INVISIBLE.sub("", "".join(c for c in text if unicodedata.category(c) != "Cf"))


def _domain_key(domain: str) -> str:
    """Return a domain in ASCII (RFC 3490), one whichever way it is written, as far as it has one.

    A label in punycode is read first: newer rules (RFC 5891) encode some that older ones map.
    """
    read = _folded(".".join(map(_label, _DOTS.split(_folded(domain))))).rstrip(".")
    try:
        return read.encode("idna").decode("ascii")
    except UnicodeError:
        return read


def _label(label: str) -> str:
    if not label.startswith("xn--"):
        return label
    try:
        return label.encode("ascii").removeprefix(b"xn--").decode("punycode")
    except ValueError:
        return label
