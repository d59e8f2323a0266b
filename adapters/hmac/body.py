"""Request bodies (JSON object or form), and look-up of a value by its path in body or headers."""

import re
from collections.abc import Mapping
from typing import Any

from adapters.contract.errors import Unreadable
from adapters.contract.form_bodies import media_type, read_form
from adapters.contract.request import InboundRequest
from adapters.contract.strict_json import read_json

FORM = "application/x-www-form-urlencoded"

# A time of day on a date (RFC 3339, or with a space), also percent-encoded.
_DATE_TIME = re.compile(
    rb"(?<![0-9])20[0-9]{2}-[01][0-9]-[0-3][0-9](?:[T +]|%20)[0-2][0-9](?::|%3A)[0-5][0-9]"
)
# Seconds or milliseconds since 1970, under a name that says that they are a time.
_EPOCH = re.compile(
    rb"""(?:time|date|stamp|_at|At|_on|\bts|created|updated|occurred)(?:_at)?"""
    rb"""(?:_?(?:ms|millis|seconds|utc))?["']?\s*[:=]"""
    rb"""\s*["']?[12][0-9]{9}(?:\.[0-9]+|[0-9]{3})?(?![0-9])"""
)


def read_body(request: InboundRequest) -> dict[str, Any]:
    """Parse the body: a JSON object or, by its content type, a form.

    A repeated name in a form has a list of its values.

    Raises:
        Unreadable: the body is neither, or is empty.
    """
    if media_type(request.headers.get("content-type"))[0] == FORM:
        return _form(request.body)
    value = read_json(request.body)
    if not isinstance(value, dict):
        raise Unreadable(f"the body must be a JSON object, not {type(value).__name__}")
    return value


def carries_time(body: bytes) -> bool:
    """Return whether a time stands anywhere in a body, so that a second event differs from it.

    It depends on nothing but the bytes: headers that say how to read them may not be signed.
    """
    return bool(_DATE_TIME.search(body) or _EPOCH.search(body))


def value_at(path: str, request: InboundRequest, native: Mapping[str, Any]) -> str:
    """Return the string at a path like `header:X-Name` or `data.0.id`; an integer becomes one.

    Raises:
        Unreadable: there is no string at that path.
    """
    kind, _, name = path.partition(":")
    value = request.headers.get(name.lower()) if kind == "header" and name else _at(native, path)
    if type(value) is int:
        return str(value)
    if not isinstance(value, str):
        raise Unreadable(f"there is no text at {path}")
    return value


def _form(body: bytes) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name, value in read_form(body):
        if name not in fields:
            fields[name] = value
        elif isinstance(fields[name], list):
            fields[name].append(value)
        else:
            fields[name] = [fields[name], value]
    if not fields:
        raise Unreadable("the form is empty")
    return fields


def _at(node: Any, path: str) -> Any:
    for step in path.split("."):
        if isinstance(node, dict):
            node = node.get(step)
        elif isinstance(node, list) and step.isascii() and step.isdigit() and len(step) < 5:
            node = node[int(step)] if int(step) < len(node) else None
        else:
            return None
    return node
