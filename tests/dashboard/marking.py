"""Marks: a made-up person's words and numbers, put into every text of a recorded webhook."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from html import unescape
from itertools import cycle
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode

from adapters import InboundRequest
from hub.core.auth.plain_values import Kind, kind_of
from tests.adapters.contract.recorded import Fixture

MARKS = (
    "Wilhelmina Querfurt",  # a name
    "Adelgundis",  # a single word
    "theodolinde",  # a single word that looks like a code
    "+12025550143",  # a telephone number
    "12025550143",  # the same as it is often kept
    "w.querfurt@marked.example",
    "5555341244441115",  # a card's number
    "paid; Theodolinde",  # behind a code
    "Querfurt <w.querfurt@marked.example> https://marked.example/?who=theodolinde",
    "4930123456",  # a telephone number of another country
    "WILHELMINAQuerfurt42",  # a name that somebody joined
    "1980-04-12T00:00:00Z",  # a birth
)
PHONE, EMAIL = MARKS[3], MARKS[5]
ABROAD, HANDLE, BIRTH = MARKS[9:]
# What a page may not contain: any word of a mark, in any case, and its numbers however spaced.
_WORDS = ("wilhelmina", "querfurt", "adelgundis", "theodolinde", "marked.example",
          "1980-04-12")  # fmt: skip
_DIGITS = ("2025550143", "5555341244441115", "4930123456")
_SPACES = re.compile(r"(?<=[0-9])[\s().-]+(?=[0-9])")
_PART = re.compile(rb'(name|filename)="([^"]*)"')

# What an adapter needs to recognise an event; where it is kept, the rest reaches canonical fields.
_NEEDED = frozenset(Kind) - {Kind.TYPED, Kind.OTHER}
_PHONE = re.compile(r"\+?[0-9 ()-]{7,20}")
_IS_NEEDED = re.compile("x-github|x-shopify|webhook|svix|x-hubspot|x-acme")
VARIANTS = ("all", "kept", "keys")


class Marker:
    """Marks texts in turn, beginning at any of `MARKS`.

    `variant` of `VARIANTS`: every text (`all`), those alone whose field holds no id, type, time or
    amount (`kept`), or those and the names of fields too (`keys`). Any other variant is the name of
    the only fields and headers to be marked.
    """

    def __init__(self, variant: str, start: int = 0, marks: Sequence[str] = MARKS) -> None:
        start %= len(marks)
        self._marks = cycle([*marks[start:], *marks[:start]])
        self._variant = variant

    def tree(self, value: Any, name: str = "") -> Any:
        """Return a JSON tree with its texts marked."""
        if isinstance(value, dict):
            told = {key: self.tree(inner, key) for key, inner in value.items()}
            more = {next(self._marks): "x", "": {next(self._marks): []}}
            return told | (more if self._variant == "keys" else {})
        if isinstance(value, list):
            return [self.tree(inner, name) for inner in value]
        return self.text(value, name) if isinstance(value, str) else value

    def text(self, text: str, name: str) -> str:
        """Return a mark for the text of a field; one of its shape where the shape is needed."""
        if self._variant == "all" or name == self._variant:
            return next(self._marks)
        if self._variant not in VARIANTS or kind_of(name) in _NEEDED or "\n" in text:
            return text
        if "@" in text and " " not in text:
            return EMAIL
        return PHONE if _PHONE.fullmatch(text) else next(self._marks)

    def request(self, fixture: Fixture) -> InboundRequest:
        """Return the recorded request with marks in its body, headers and address."""
        body = self._body(fixture)
        signed = fixture.signed(body)
        headers = dict(signed.headers)
        for name in headers:
            if name != "content-type":
                headers[name] = self._header(name, headers[name])
        headers |= {"user-agent": next(self._marks), "x-forwarded-for": next(self._marks),
                    "referer": next(self._marks), "x-theodolinde": next(self._marks)}  # fmt: skip
        joint = "&" if "?" in signed.url else "?"
        url = f"{signed.url}{joint}{urlencode({'who': next(self._marks)})}"
        return replace(signed, headers=headers, url=url)

    def _header(self, name: str, text: str) -> str:
        is_ours = self._variant in VARIANTS and not _IS_NEEDED.match(name)
        is_marked = is_ours or self._variant in ("all", name)
        return next(self._marks) if is_marked else text

    def _body(self, fixture: Fixture) -> bytes:
        if fixture.kind == "json":
            return json.dumps(self.tree(json.loads(fixture.body))).encode()
        if fixture.kind == "form":
            pairs = parse_qsl(fixture.body.decode(), keep_blank_values=True)
            told = [(name, self._pair(name, value)) for name, value in pairs]
            more = [(next(self._marks), "x")] if self._variant == "keys" else []
            return urlencode([*told, *more]).encode()
        return self._multipart(fixture.body)

    def _pair(self, name: str, value: str) -> str:
        if value.startswith("{"):
            return json.dumps(self.tree(json.loads(value)))
        return self.text(value, name)

    def _multipart(self, body: bytes) -> bytes:
        line, _, rest = body.partition(b"\r\n")
        parts = []
        for part in rest.split(b"\r\n" + line):
            head, blank, content = part.partition(b"\r\n\r\n")
            found = dict(_PART.findall(head))
            if blank and b"filename" in found:
                name = quote(next(self._marks), safe=" +@").encode()
                head = head.replace(b'filename="' + found[b"filename"], b'filename="' + name)
            elif blank:
                content = self.text(content.decode("utf-8", "replace"),
                                    found.get(b"name", b"").decode()).encode()  # fmt: skip
            parts.append(head + blank + content)
        return line + b"\r\n" + (b"\r\n" + line).join(parts)


def found_in(text: str) -> list[str]:
    """Return what of any mark stands in a page or a file, in whatever encoding."""
    plain = unquote(unescape(text)).lower()
    digits = _SPACES.sub("", plain)
    return [word for word in _WORDS if word in plain] + [one for one in _DIGITS if one in digits]


def texts_of(headers: Mapping[str, str], body: str) -> Iterator[str]:
    """Yield what a browser gets of an answer: its body, and the headers that can name a file."""
    yield body
    yield from (value for name, value in headers.items() if name.lower() != "set-cookie")


def fields_of(fixture: Fixture) -> set[str]:
    """Return the names of a request's headers, and of its fields that hold an id or a code."""
    if fixture.kind == "form":
        names = {name for name, _ in parse_qsl(fixture.body.decode())}
    else:
        names = set(_names(json.loads(fixture.body))) if fixture.kind == "json" else set()
    needed = {name for name in names if kind_of(name) in _NEEDED}
    return needed | set(fixture.signed().headers) - {"content-type"}


def _names(tree: Any, name: str = "") -> Iterator[str]:
    if isinstance(tree, dict):
        for key, inner in tree.items():
            yield from _names(inner, key)
    elif isinstance(tree, list):
        for inner in tree:
            yield from _names(inner, name)
    elif isinstance(tree, str):
        yield name
