"""Bodies that no provider would send, made from those that they do send."""

import json
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, unquote_to_bytes, urlencode

Pair = tuple[str, str]
Variant = tuple[str, bytes]
Unmade = tuple[str, Callable[[], bytes]]

VALUES: list[Any] = [
    None,
    True,
    0,
    -1,
    2**63,
    1.5,
    float("inf"),
    "",
    " x\u00e9",
    "\ud800\x00",
    "9" * 10_000,
    [],
    [[None]],
    {},
    {"id": 7, "data": [{"object": None}]},
]
TEXTS = ["", " x\u00e9", "\x00", "-1", "1.5", "9" * 10_000, "null", "[]", '{"a": [', "\u202e\r\n"]
BYTES = (b"\xff\xfe", b"\xe9t\xe9", bytes(range(256)))
GARBAGE = (
    b"", b"null", b"[]", b"{}", b"7", b'"text"', b"\xff\xfe{}", b"[" * 100_000, b"=&=&&=",
    b"a=%ff%00%zz", b"&" * 5000, b"a[]=1&" * 3000, b"--\r\n\r\n--", b"--x\r\n" * 3000,
    b'--x\r\nContent-Disposition: form-data; name="\xff"\r\n\r\n\r\n--x--\r\n',
)  # fmt: skip
CONTENT_TYPES = (
    None, "", ";", "text/plain", "application/json; charset=utf-16", "application/json",
    "application/x-www-form-urlencoded; charset=nonsense", "multipart/form-data",
    "multipart/form-data; boundary=", "multipart/form-data; boundary=x",
    'multipart/form-data; boundary="\u20ac"', "multipart/mixed; boundary=x", "\x00",
)  # fmt: skip
HEADERS = (
    None, "", " ", ",", "=", "\x00", "\u00e9", "\ud800", "-1", "0", "1e400", "9" * 5000, "null",
    "t=1,v1=00", "a/b", "2026-11-20T12:00:00Z",
)  # fmt: skip
QUERIES = ("?", "?=&&=", "?a=%ff%zz&a", "?bodySHA256=x&bodySHA256", "?a=\u20ac", "#", "?#rc=9")
# How much one recorded body may grow to in all its variants: the suite has to stay fast.
MAX_BYTES = 8_000_000


def spread(length: int, at_most: int) -> range:
    """Return positions over the whole length: all of them where they are few."""
    return range(0, length, -(-length // at_most) or 1)


def is_text(kind: str, body: bytes) -> bool:
    """Tell whether a form says something in UTF-8; every other body counts as it is."""
    if kind != "form":
        return True
    try:
        unquote_to_bytes(body).decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def variants(kind: str, body: bytes) -> Iterator[Variant]:
    """Yield the body with each value in turn replaced by strange ones, left out, or told twice.

    Of a big body they are fewer, spread over the whole of it.
    """
    read = {"json": _of_json, "form": _of_form, "multipart": _of_multipart}[kind]
    many = sum(1 for _ in read(body))
    chosen = set(spread(many, max(100, MAX_BYTES // len(body))))
    for count, (label, make) in enumerate(read(body)):
        if count in chosen:
            yield label, make()


def _of_json(body: bytes) -> Iterator[Unmade]:
    tree = json.loads(body)
    for count, (path, parent, key) in enumerate(list(_places(tree, ()))):
        original = parent[key]
        few = len(path) > 3  # nothing reads most of what is so deep
        for value in VALUES[count % 5 :: 5] if few else VALUES:
            parent[key] = value
            yield f"{path} = {value!r:.40}", lambda: _dumped(tree)
        parent[key] = original
        if isinstance(parent, dict) and not few:
            del parent[key]
            yield f"{path} left out", lambda: _dumped(tree)
            parent[key] = original


def _of_form(body: bytes) -> Iterator[Unmade]:
    pairs = parse_qsl(body.decode(), keep_blank_values=True)
    for place, (name, value) in enumerate(pairs):
        for new in (*TEXTS, *_strange_json(value)):
            yield f"{name} = {new!r:.40}", partial(_form, pairs, place, [(name, new)])
        yield f"{name} left out", partial(_form, pairs, place, [])
        yield f"{name} twice", partial(_form, pairs, place, [(name, value), (name, "x")])


def _of_multipart(body: bytes) -> Iterator[Unmade]:
    """The parts are told apart by hand, so that no reader of ours has a say in it."""
    boundary = body[: body.index(b"\r\n")]
    parts = body.split(boundary)
    for place in range(1, len(parts) - 1):
        head, _, content = parts[place].partition(b"\r\n\r\n")
        label = head.strip()[:80].decode("utf-8", "replace")
        texts = (*TEXTS, *_strange_json(content.decode("utf-8", "replace")))
        for new in (*(text.encode() for text in texts), *BYTES):
            piece = head + b"\r\n\r\n" + new + b"\r\n"
            yield f"{label} = {new!r:.40}", partial(_joined, boundary, parts, place, [piece])
        for new_head in _strange_heads(head):
            piece = new_head + b"\r\n\r\n" + content
            yield f"{new_head!r}", partial(_joined, boundary, parts, place, [piece])
        yield f"{label} left out", partial(_joined, boundary, parts, place, [])
        yield f"{label} twice", partial(_joined, boundary, parts, place, [parts[place]] * 2)


def _strange_heads(head: bytes) -> Iterator[bytes]:
    yield b""
    yield b"\r\nContent-Disposition: form-data"
    yield head + b'; filename="../../etc/passwd"'
    yield head + b'; filename="\x00"'
    yield head + b"\r\nContent-Type: text/plain; charset=nonsense"
    yield head + b"\r\nContent-Type: \xff/\xff"


def _strange_json(text: str) -> Iterator[str]:
    """Yield strange forms of a JSON object inside a field."""
    if text.lstrip()[:1] in ("{", "["):
        try:
            made = _of_json(text.encode())
            yield from (make().decode("ascii") for _label, make in made)
        except ValueError:
            return


def _form(pairs: list[Pair], place: int, instead: list[Pair]) -> bytes:
    return urlencode(pairs[:place] + instead + pairs[place + 1 :]).encode("ascii")


def _joined(boundary: bytes, parts: list[bytes], place: int, instead: list[bytes]) -> bytes:
    return boundary.join(parts[:place] + instead + parts[place + 1 :])


def _dumped(tree: Any) -> bytes:
    # 1e400 is how JSON says a number that a float cannot hold.
    return json.dumps(tree).replace("Infinity", "1e400").encode("ascii")


def _places(node: Any, path: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], Any, Any]]:
    for key, value in list(node.items() if isinstance(node, dict) else enumerate(node)):
        yield (*path, key), node, key
        if isinstance(value, dict | list):
            yield from _places(value, (*path, key))
