"""Parameters as Stripe's v1 API takes them: a form whose names spell out mappings and lists.

The bytes are those of Stripe's own Python library (`stripe._encode`), which a test holds us to.
"""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

from adapters.contract.errors import InvalidParameters


def encode(parameters: Mapping[str, Any]) -> str:
    """Return `a[b]=c&d[0]=e`; what is None is left out, booleans are `true` and `false`.

    Raises:
        InvalidParameters: a text has half a character (a lone surrogate).
    """
    try:
        text = urlencode(list(_pairs(parameters)))
    except UnicodeEncodeError:
        raise InvalidParameters({"parameters": "cannot be written as UTF-8"}) from None
    return text.replace("%5B", "[").replace("%5D", "]")


def _pairs(parameters: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in parameters.items():
        yield from _named(name, value)


def _named(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _named(f"{name}[{key}]", inner)
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from _named(f"{name}[{place}]", inner)
    elif isinstance(value, bool):
        yield name, "true" if value else "false"
    elif value is not None:
        yield name, value
