"""Submissions as a script on the page would post them, for `hub send`."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from adapters.contract.inbound import Sample
from adapters.form.files import DEFAULT_ACCEPT, extensions
from adapters.form.patterns import fitting
from adapters.form.settings import longest
from adapters.form.submission import JSON, MULTIPART

SAMPLE_TYPES = ("submission",)

_NAMED = {"name": "Jane Doe", "company": "Example Ltd", "city": "Springfield"}
_TYPED: Mapping[str, Any] = {
    "text": "A sample",
    "longtext": "Hello,\nit leaks above the kitchen. When could you come?\nJane",
    "email": "jane.doe@example.com",
    "phone": "+1 212 555 0123",
    "number": 12,
    "date": "2026-11-20",
    "consent": True,
    "hidden": "sample",
}
_VARIED = frozenset({"text", "longtext"})
_REFERENCE = 8
_FILES = {".txt": b"A sample.\n", ".pdf": b"%PDF-1.4\n%%EOF\n"}
_BOUNDARY = "a-sample-of-a-form"


def sample_of(
    declared: Mapping[str, Mapping[str, Any]], native_type: str, token: str, nonce: str
) -> Sample:
    """Return a submission with every field filled in, but for files that nobody requires.

    Its texts are another each time, as `nonce` is: the same text again and again is spam.

    Raises:
        LookupError: there is no sample of that type, or a field is required that nothing fits.
    """
    if native_type not in SAMPLE_TYPES:
        raise LookupError(f"no sample of {native_type}; there are: {', '.join(SAMPLE_TYPES)}")
    made = {name: _value(name, field, nonce) for name, field in declared.items()}
    lacking = [name for name, value in made.items() if value is None and declared[name]["required"]]
    if lacking:
        raise LookupError(
            f"no sample can be made: nothing was found that fits the pattern of "
            f"{', '.join(lacking)}; add a text that does as `example:` of the field in hub.yaml"
        )
    filled = {name: value for name, value in made.items() if value is not None} | {"_token": token}
    if not any(isinstance(value, list) and _is_file(value) for value in filled.values()):
        body = json.dumps(filled).encode("ascii")
        return Sample(body, {"content-type": JSON, "accept": JSON})
    kind = f"{MULTIPART}; boundary={_BOUNDARY}"
    return Sample(_multipart(filled), {"content-type": kind, "accept": JSON})


def _value(name: str, declared: Mapping[str, Any], nonce: str) -> Any:
    kind = declared["type"]
    if kind == "file":
        return _files(declared) if declared["required"] else None
    if kind == "choice":
        return declared["choices"][0]
    if kind == "choices":
        return declared["choices"][: declared.get("min", 1)]
    if kind in ("number", "date"):
        return declared.get("min", declared.get("max", _TYPED[kind]))
    if kind == "consent":
        return True
    if "example" in declared:
        return declared["example"]
    if "pattern" in declared:
        least = declared.get("min", 0)
        return fitting(declared["pattern"], least=least, most=longest(declared))
    return _text(name, declared, nonce)


def _text(name: str, declared: Mapping[str, Any], nonce: str) -> str:
    kind = declared["type"]
    value = str(_NAMED.get(name, _TYPED[kind]) if kind == "text" else _TYPED[kind])
    if kind in _VARIED and value not in _NAMED.values():
        value += f" ({nonce[-_REFERENCE:]})"
    padded = value.ljust(declared.get("min", 0), ".")
    return padded[: declared.get("max", len(padded))].strip()


def _files(declared: Mapping[str, Any]) -> list[tuple[str, bytes]]:
    """Return as many small files as are needed, of the first kind of which there is one to give."""
    taken = extensions(declared.get("accept", DEFAULT_ACCEPT))
    extension = next((one for one in _FILES if one in taken), taken[0])
    content = _FILES.get(extension, _FILES[".txt"])
    return [(f"sample-{n}{extension}", content) for n in range(1, declared.get("min", 1) + 1)]


def _is_file(value: Sequence[Any]) -> bool:
    return bool(value) and isinstance(value[0], tuple)


def _multipart(filled: Mapping[str, Any]) -> bytes:
    parts = [
        (name, one)
        for name, value in filled.items()
        for one in (value if isinstance(value, list) else [value])
    ]
    made = b"".join(_part(name, one) for name, one in parts)
    return made + f"--{_BOUNDARY}--\r\n".encode("ascii")


def _part(name: str, value: Any) -> bytes:
    head = f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"'
    content: bytes
    if isinstance(value, tuple):
        filename, content = value
        head += f'; filename="{filename}"'
    else:
        content = ("yes" if value is True else str(value)).encode()
    return f"{head}\r\n\r\n".encode() + content + b"\r\n"
