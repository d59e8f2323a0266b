"""Strict JSON parser for untrusted bodies, digests of JSON values, and clean-up for the database.

Strict where a lenient parser would guess (duplicate keys, NaN, very long numbers, deep nesting),
because money depends on it. Odd but valid strings (with NUL or lone surrogates) are kept by
`read_json` and cleaned by `storable`: PostgreSQL rejects both in `jsonb` and in text.
"""

import json
import re
from codecs import BOM_UTF8
from collections.abc import Mapping
from hashlib import sha256
from math import isfinite
from typing import Any, NoReturn

import orjson

from adapters.contract.errors import Unreadable

DEPTH_LIMIT = 64
# Keys of one object.
KEY_LIMIT = 10_000

_INTEGER_MIN, _INTEGER_MAX = -(2**63), 2**64 - 1
_SURELY_SMALL_DIGITS = 18
_INTEGER_DIGITS = 20
_ALIKE = bytes.maketrans(b"123456789" + b",[- \t\r\n", b"0" * 9 + b":" * 7)
_LONG_NUMBER = b":" + b"0" * (_SURELY_SMALL_DIGITS + 1)
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_NAMED_FIELDS = 5
_SHOWN_CHARACTERS = 80
_TOO_DEEP = f"the JSON is nested deeper than {DEPTH_LIMIT}"
_TOO_MANY_KEYS = f"the JSON has an object with more than {KEY_LIMIT:,} keys"
# A string, also one that does not end: each byte is looked at once, whatever the text.
_STRING = re.compile(rb'"(?:[^"\\]+|\\.)*+(?:"|\\?\Z)', re.DOTALL)
_ABSENT = object()


def read_json(body: bytes, *, most_values: int | None = None) -> Any:
    """Parse a JSON text in UTF-8, with or without a byte order mark.

    `most_values`: how many members and elements all objects and lists may have together. A text
    that may have more is refused before anything is built of it.

    Raises:
        Unreadable: not UTF-8, not JSON, empty, nested deeper than 64 levels, with a duplicate key,
            with more than 10,000 keys in one object or more than `most_values`, with NaN or
            Infinity, or with an integer of more than 64 bits (20 digits at most).
    """
    if most_values is not None and _values_at_most(body) > most_values:
        raise Unreadable(f"the JSON has more than {most_values:,} values")
    value = _plain(body)
    if value is None:
        value = _decode(_text(body))
    if _may_be_deep(body) or (len(body) > KEY_LIMIT and body.count(b":") > KEY_LIMIT):
        _check_shape(value)
    return value


def digest(value: Any) -> bytes:
    """Return the SHA-256 of a JSON value: equal values have equal digests, however formatted."""
    # The text is ASCII (surrogates stay escaped), so encoding succeeds whatever the strings hold.
    return sha256(_DIGEST_ENCODER.encode(value).encode("ascii")).digest()


def fingerprint(value: Any) -> bytes:
    """Return a digest in a third of the time of `digest`; do not use it as a part of an id.

    The value nearly always equals that of `digest`, so fingerprints that were stored earlier do
    not look forged. A float with an exponent is formatted differently.
    """
    try:
        text = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError:
        # The value has lone surrogates.
        return digest(value)
    # `digest` escapes DEL and all that is not ASCII; orjson does not.
    is_same = text.isascii() and b"\x7f" not in text
    return sha256(text).digest() if is_same else digest(value)


def storable(data: Mapping[str, Any]) -> tuple[dict[str, Any], str | None]:
    """Return the data cleaned for a database, and a sentence that names the changes, or None.

    NUL and lone surrogates become U+FFFD. A float that is not finite is left out of its mapping;
    in a list it becomes None, so that its neighbours keep their positions. `data` holds only
    values that JSON can represent.
    """
    if _is_storable(data):
        return dict(data), None
    changed: list[str] = []
    cleaned = _cleaned_mapping(data, "", changed)
    return cleaned, _reason(list(dict.fromkeys(changed)))


def storable_text(text: str) -> str:
    """Return a text cleaned for a database: NUL and lone surrogates become U+FFFD."""
    return _UNSTORABLE.sub("\ufffd", text)


def _plain(body: bytes) -> Any:
    """Parse with orjson if its result is certain to equal the strict parser's, else return None.

    orjson is four times as fast, but keeps the last of repeated keys and turns a long integer into
    a float. With a repeated key, its result has fewer colons than the text; only escapes could
    make up for them.
    """
    if body[:1] not in (b"{", b"[") or _LONG_NUMBER in body.translate(_ALIKE):
        return None
    if b"\\" in body and b"\\u" in body:
        return None
    try:
        value = orjson.loads(body)
        return value if orjson.dumps(value).count(b":") == body.count(b":") else None
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        return None


def _text(body: bytes) -> str:
    if not body:
        raise Unreadable("the body is empty")
    try:
        return body.removeprefix(BOM_UTF8).decode("utf-8")
    except UnicodeDecodeError as error:
        raise Unreadable(f"the body is not UTF-8 (byte {error.start})") from error


def _decode(text: str) -> Any:
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise Unreadable(f"the body is not JSON ({place})") from error
    except RecursionError as error:
        raise Unreadable(_TOO_DEEP) from error


def _values_at_most(body: bytes) -> int:
    """Return the number of members and elements in a JSON text, and at most one more for each list.

    Of a text that is not JSON it is any number; it takes a few nanoseconds for each byte.
    """
    bare = _STRING.sub(b"", body)
    return bare.count(b",") + bare.count(b"{") + bare.count(b"[")


def _may_be_deep(body: bytes) -> bool:
    """Return whether a JSON text opens more objects and lists than may be nested."""
    # `replace` jumps from one to the next, and stops; `count` looks at every byte to the end.
    most = DEPTH_LIMIT + 1
    return len(body) - len(body.replace(b"{", b"", most).replace(b"[", b"", most)) > DEPTH_LIMIT


def _check_shape(value: Any) -> None:
    # Level by level, without recursion: however deep the data is, the stack stays flat.
    level = [value]
    for _ in range(DEPTH_LIMIT):
        if any(len(node) > KEY_LIMIT for node in level if isinstance(node, dict)):
            raise Unreadable(_TOO_MANY_KEYS)
        level = [
            child
            for node in level
            if isinstance(node, dict | list)
            for child in (node.values() if isinstance(node, dict) else node)
            if isinstance(child, dict | list)
        ]
        if not level:
            return
    raise Unreadable(_TOO_DEEP)


def _mapping(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping = dict(pairs)
    if len(mapping) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise Unreadable(f"the JSON has the key {_shown(twice)} twice in one object")
    return mapping


def _integer(text: str) -> int:
    # Check the length first: int() of thousands of digits is slow, and Python itself rejects it.
    if len(text) <= _SURELY_SMALL_DIGITS:
        return int(text)
    if len(text) <= _INTEGER_DIGITS + 1 and _INTEGER_MIN <= (value := int(text)) <= _INTEGER_MAX:
        return value
    raise Unreadable("the JSON has an integer of more than 64 bits")


def _refuse_constant(name: str) -> NoReturn:
    raise Unreadable(f"the JSON has {name}, which is not a JSON number")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_mapping, parse_int=_integer, parse_constant=_refuse_constant
)
_DIGEST_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"))
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _is_storable(data: Mapping[str, Any]) -> bool:
    # One pass in C is faster than a walk in Python; a literal backslash before "u0000" is a false
    # positive that only costs the walk.
    try:
        quick = orjson.dumps(data)
        # A null may have been a float that is not finite.
        if b"null" not in quick and b"\\u0000" not in quick:
            return True
    except orjson.JSONEncodeError:
        # The data has a surrogate, or an integer of more than 64 bits.
        pass
    try:
        text = _ENCODER.encode(data)
        return "\\u0000" not in text and bool(text.encode("utf-8"))
    except ValueError:
        # The data has a float that is not finite, or a surrogate (UnicodeEncodeError).
        return False


def _cleaned(value: Any, path: str, changed: list[str]) -> Any:
    if isinstance(value, str):
        return _cleaned_text(value, path, changed)
    if isinstance(value, Mapping):
        return _cleaned_mapping(value, path, changed)
    if isinstance(value, list | tuple):
        items = (_cleaned(item, f"{path}.{place}", changed) for place, item in enumerate(value))
        return [None if item is _ABSENT else item for item in items]
    if isinstance(value, float) and not isfinite(value):
        changed.append(path)
        return _ABSENT
    return value


def _cleaned_mapping(value: Mapping[str, Any], path: str, changed: list[str]) -> dict[str, Any]:
    mapping = {}
    for key, item in value.items():
        clean_key = storable_text(key)
        inner = f"{path}.{clean_key}" if path else clean_key
        # Of a key that is nested in long ones, only so much can be told.
        inner = inner[:_SHOWN_CHARACTERS]
        if clean_key != key:
            changed.append(inner)
        clean_item = _cleaned(item, inner, changed)
        if clean_item is not _ABSENT:
            mapping[clean_key] = clean_item
    return mapping


def _cleaned_text(value: str, path: str, changed: list[str]) -> str:
    text, count = _UNSTORABLE.subn("\ufffd", value)
    if count:
        changed.append(path)
    return text


def _reason(changed: list[str]) -> str | None:
    if not changed:
        return None
    named = ", ".join(_shown(path) for path in changed[:_NAMED_FIELDS])
    more = f" and {len(changed) - _NAMED_FIELDS} more" if len(changed) > _NAMED_FIELDS else ""
    return f"no database can hold what was sent in {named}{more}; it was replaced or left out"


def _shown(name: str) -> str:
    return ascii(name[:_SHOWN_CHARACTERS])[1:-1]
