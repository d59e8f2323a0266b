"""Sample files: a provider's webhooks for `hub send`, each with ids and times of its own.

`adapters/<provider>/samples/<native type>.json` (`.form`, `.multipart`) is a body as the provider
sends it, byte for byte, at `ANCHOR`. The contract suite runs over the files as they stand; for a
sample the ids in them are replaced, the times moved, and everything else stays.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from functools import cache, partial
from hashlib import sha256
from importlib.resources import files
from urllib.parse import parse_qsl, urlencode

# The time at which the webhooks in the files are sent.
ANCHOR = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
# How far from it what looks like a time is one.
_AROUND = timedelta(days=366)

_SECOND = timedelta(seconds=1)
_MILLISECOND = timedelta(milliseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIME = re.compile(
    r"(?P<text>[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}(?P<fraction>\.[0-9]+)?(?:Z|[+-][0-9:]{5}))"
    r"|(?P<mail>[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9:]{8} [+-][0-9]{4})"
    r"|(?<![\w.-])(?:(?P<seconds>[0-9]{10})|(?P<milliseconds>[0-9]{13}))(?![\w.-])"
)
_PRECISION = {0: "seconds", 4: "milliseconds", 7: "microseconds"}


@dataclass(frozen=True, slots=True)
class SampleFiles:
    """Samples of one provider.

    `package` is the provider's folder. `types` are the native types, the most useful one first;
    each is a file of that name, and `kind` its extension. `given` is a pattern of ids that become
    the external id itself, `derived` one of ids that become others of the same form, made from it;
    ids that neither matches outlive one event (a customer, a price). `live_flags` are the JSON keys
    that tell a live event from a test, with their value in a live one.
    """

    package: str
    types: Sequence[str]
    kind: str = "json"
    given: str | None = None
    derived: str | None = None
    live_flags: Mapping[str, bool] = field(default_factory=dict)

    def body(
        self, native_type: str, external_id: str, now: datetime, *, live: bool = True
    ) -> bytes:
        """Return the body of a webhook of that type, as the provider would send it at `now`.

        Two external ids give two bodies.

        Raises:
            LookupError: there is no sample of that type; the message lists those that exist.
        """
        if native_type not in self.types:
            raise LookupError(f"no sample of {native_type}; there are: {', '.join(self.types)}")
        text = _read(self.package, f"{native_type}.{self.kind}")
        own = partial(self._own, external_id=external_id, now=now, live=live)
        if self.kind == "form":
            fields = parse_qsl(text, keep_blank_values=True)
            return urlencode([(name, own(value)) for name, value in fields]).encode("ascii")
        return own(text).encode()

    def _own(self, text: str, *, external_id: str, now: datetime, live: bool) -> str:
        text = _TIME.sub(partial(_moved, by=now - ANCHOR), text)
        for key, when_live in self.live_flags.items():
            flag = json.dumps(live == when_live)
            text = re.sub(rf'(?<="{key}":)(\s*)(?:true|false)', rf"\g<1>{flag}", text)
        if self.derived is not None:
            text = re.sub(self.derived, lambda found: derived_id(found[0], external_id), text)
        if self.given is None:
            return text
        written = json.dumps(external_id)[1:-1] if self.kind == "json" else external_id
        return re.sub(self.given, lambda _: written, text)


def derived_id(old: str, external_id: str) -> str:
    """Return an id like `old`, another one for each external id.

    What stands before the last `_` is kept; the rest becomes as many digits, hexadecimal ones where
    it is no number.
    """
    prefix, mark, rest = old.rpartition("_")
    digest = sha256(f"{external_id} {old}".encode("utf-8", "surrogatepass")).hexdigest()
    if rest.isdecimal():
        digest = str(int(digest, 16))
    return f"{prefix}{mark}{(digest * 2)[: len(rest)]}"


@cache
def _read(package: str, name: str) -> str:
    # Bytes, so that the line breaks stay what they are.
    return (files(package) / "samples" / name).read_bytes().decode()


def _moved(found: re.Match[str], by: timedelta) -> str:
    """Return a time moved, written as it was; what is far from the anchor stays."""
    at = _instant(found)
    if abs(at - ANCHOR) > _AROUND:
        return found[0]
    at += by
    if found["text"]:
        moved = at.isoformat(timespec=_PRECISION[len(found["fraction"] or "")])
        return moved.replace("+00:00", "Z") if found[0].endswith("Z") else moved
    if found["mail"]:
        return format_datetime(at)
    return str((at - _EPOCH) // (_SECOND if found["seconds"] else _MILLISECOND))


def _instant(found: re.Match[str]) -> datetime:
    if found["text"]:
        return datetime.fromisoformat(found[0])
    if found["mail"]:
        return parsedate_to_datetime(found[0])
    return _EPOCH + int(found[0]) * (_SECOND if found["seconds"] else _MILLISECOND)
