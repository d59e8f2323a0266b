"""Webhooks from any sender that signs with HMAC, as described by the source's settings.

**Docs**: RFC 2104; the sender's own documentation determines the settings: `secrets`, `header`,
`prefix` (`sha256=`), `algorithm` (sha1, sha256, sha512), `encoding` (hex, base64), `signs`
(`{body}`, `v0:{timestamp}:{body}`, `{url}{body}`, `{header:X-Id}{body}`), `timestamp_header`,
`tolerance`, `id_path` and `type_path` (`header:X-Name`, or a path into the body like `data.id`),
`challenge`.

**Signs**: `header` holds `prefix` and the HMAC of `signs`, keyed with the secret's text; hex in
lower case. A timestamp is used only if it is signed: epoch seconds, or milliseconds with 13 digits,
with a tolerance of 5 minutes either way unless `tolerance` sets another. Without a timestamp, a
request can be replayed; its id shows that.

**Re-sends**: depends on the sender. Without `id_path` the same body is one event. A body in which
no time stands is that for 5 minutes (or for `tolerance`, if longer): after that it is a new event.

**Answers**: any 2xx, empty. `challenge: {query: hub.challenge, token_query: hub.verify_token,
token: ...}` echoes the challenge of a GET (Meta, WebSub), `challenge: {body: challenge, type:
url_verification}` that of a signed POST (Slack); without `type`, every POST that has the field is a
handshake.

**Quirks**: a header that `signs` does not name is not signed, and neither is an id or type in it.
With an id that is not signed the signed bytes are one fact, under any id: for ever if a time is in
them, for 5 minutes otherwise, since the sender may mean it again. `hub check` says both.
The body is a JSON object or a urlencoded form, which becomes `native`. Types are `hmac.<type>`;
without `type_path` all are `hmac.webhook`. `occurred_at` is the signed time, else the time of
arrival.

**Samples**: built from the settings, because these say where id, type and time stand, and what is
signed.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any

from adapters.contract.errors import NotVerified, Unreadable
from adapters.contract.event import UNTIMED_WINDOW_S, Event
from adapters.contract.fields import external_id, utc_from_epoch
from adapters.contract.inbound import Inbound, Reply, Sample
from adapters.contract.request import InboundRequest
from adapters.contract.signatures.hmac import check_age, check_timestamp, sign_hmac, verify_hmac
from adapters.hmac.body import carries_time, read_body, value_at
from adapters.hmac.challenge import Challenge
from adapters.hmac.settings import DEFAULT_TOLERANCE_S, HmacSettings
from adapters.hmac.template import Template

NATIVE_TYPES: Mapping[str, str] = {}
IGNORED_TYPES: Mapping[str, str] = {}

_ONLY_TYPE = "webhook"
_SAMPLE_TYPE = "sample"
_TYPE_LENGTH = 100
_MILLISECOND_DIGITS = 13


class HmacInbound(Inbound):
    """Adapter for the webhooks of one sender."""

    name = "hmac"
    settings_schema = HmacSettings
    native_types = NATIVE_TYPES
    ignored_types = IGNORED_TYPES
    setup = (
        "Paste the address above where the sender asks for a webhook address.",
        "Make up a secret there, or copy the one it shows, into `secrets` of this source.",
        "Look up in the sender's documentation which header holds the signature and what it "
        "covers, and say so in `header`, `prefix`, `encoding` and `signs` of this source. "
        "Restart the hub.",
        "Let it send something: what does not verify is listed below, with the reason.",
    )

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._secrets = tuple(settings["secrets"])
        self._header = settings["header"]
        self._prefix = settings["prefix"]
        self._scheme = {key: settings[key] for key in ("algorithm", "encoding")}
        self._template = Template(settings["signs"])
        self._timestamp_header = settings.get("timestamp_header")
        self._tolerance_s = settings.get("tolerance_s", DEFAULT_TOLERANCE_S)
        self._id_path = settings.get("id_path")
        self._type_path = settings.get("type_path")
        challenge = settings.get("challenge")
        self._challenge = Challenge(challenge, self._type_path) if challenge else None

    def verify(self, request: InboundRequest) -> str:
        """Return the label of the secret that signed the request."""
        timestamp = self._timestamp(request)
        if timestamp:
            seconds = _seconds(timestamp)
            check_timestamp(str(self._timestamp_header), seconds)
            tolerance_s = self._tolerance_s
            check_age(seconds, request.received_at, past_s=tolerance_s, future_s=tolerance_s)
        return verify_hmac(
            self._secrets,
            request.headers.get(self._header.lower()),
            self._signed(request, timestamp),
            name=self._header,
            prefix=self._prefix,
            **self._scheme,
        )

    def parse(self, request: InboundRequest) -> Sequence[Event]:
        """Return the one event of the request."""
        native = read_body(request)
        native_type = self._native_type(request, native)
        return [
            Event(
                type=f"{self.name}.{native_type}",
                native_type=native_type,
                external_id=self._external_id(request, native),
                occurred_at=self._occurred_at(request),
                data={"native": native},
                fact_key=(fact_key := self._fact_key(request)),
                fact_window_s=self._fact_window_s(request) if fact_key else None,
                fingerprint=sha256(request.body).digest(),
            )
        ]

    def handshake(self, request: InboundRequest) -> Reply | None:
        """Return the response to a handshake, if the settings describe one."""
        return self._challenge.answer(request, self.verify) if self._challenge else None

    def sample(
        self, native_type: str, external_id: str, now: datetime, *, live: bool, url: str
    ) -> Sample:
        """Return a signed JSON object with an id and a type where the settings look for them."""
        if native_type not in self.sample_types():
            raise LookupError(f"no sample of {native_type}; there is: {self.sample_types()[0]}")
        tree: dict[str, Any] = {"sample": external_id}
        headers = dict.fromkeys(self._template.headers, "sample")
        headers["content-type"] = "application/json"
        for path, value in ((self._id_path, external_id), (self._type_path, native_type)):
            _put(path, value, tree, headers)
        if self._timestamp_header:
            headers[self._timestamp_header.lower()] = str(int(now.timestamp()))
        body = json.dumps(tree, separators=(",", ":")).encode("ascii")
        unsigned = InboundRequest("POST", url, headers, body, now)
        signed = self._signed(unsigned, self._timestamp(unsigned))
        signature = self._prefix + sign_hmac(self._secrets[0], signed, **self._scheme)
        return Sample(body, headers | {self._header.lower(): signature})

    @property
    def unsigned(self) -> tuple[str, ...]:
        """Settings whose value is in a header that `signs` does not name: `id`, `type`."""
        paths = {"id": self._id_path, "type": self._type_path}
        signs = self._template.signs
        return tuple(what for what, path in paths.items() if path and not signs(path))

    @property
    def untimed(self) -> str:
        """Bodies without a time, if no id or time is signed beside them; all without an id."""
        if self._id_path is None:
            return "requests without an id (no `id_path`)"
        if self._template.is_timed or (self._id_path and self._template.signs(self._id_path)):
            return ""
        return "bodies in which no time stands"

    def sample_types(self) -> Sequence[str]:
        """Return the one native type that `sample` knows."""
        return (_SAMPLE_TYPE if self._type_path else _ONLY_TYPE,)

    def _timestamp(self, request: InboundRequest) -> str:
        if self._timestamp_header is None:
            return ""
        timestamp = request.headers.get(self._timestamp_header.lower(), "")
        if not timestamp:
            raise NotVerified(f"{self._timestamp_header}: missing")
        return timestamp

    def _signed(self, request: InboundRequest, timestamp: str) -> bytes:
        return self._template.fill(
            request.body,
            timestamp=timestamp,
            url=request.url,
            method=request.method,
            headers=request.headers,
        )

    def _native_type(self, request: InboundRequest, native: Mapping[str, Any]) -> str:
        if self._type_path is None:
            return _ONLY_TYPE
        native_type = external_id(value_at(self._type_path, request, native), "the type")
        if len(native_type) > _TYPE_LENGTH:
            raise Unreadable(f"the type must have at most {_TYPE_LENGTH} characters")
        return native_type

    def _external_id(self, request: InboundRequest, native: Mapping[str, Any]) -> str:
        if self._id_path is None:
            return f"{sha256(request.body).hexdigest()}:{int(request.received_at.timestamp())}"
        return external_id(value_at(self._id_path, request, native), "the id")

    def _fact_key(self, request: InboundRequest) -> str | None:
        """Return the digest of what identifies an event without a signed id, else None.

        That is the body if there is no id; it is all signed bytes if the id is not among them.
        """
        if self._id_path is None:
            return f"body:{sha256(request.body).hexdigest()}"
        if self._template.signs(self._id_path):
            return None
        try:
            signed = self._signed(request, self._timestamp(request))
        except NotVerified:  # a stored request has no credentials any more
            return None
        return f"signed:{sha256(signed).hexdigest()}"

    def _fact_window_s(self, request: InboundRequest) -> int | None:
        """Return for how long the fact key counts; None for ever, if a second event differs."""
        if self._id_path is None:
            # A time in the body may be that of anything. A signed one is good for as long before
            # its moment as after it.
            return max(UNTIMED_WINDOW_S, 2 * self._tolerance_s if self._template.is_timed else 0)
        is_once = self._template.is_timed or carries_time(request.body)
        return None if is_once else UNTIMED_WINDOW_S

    def _occurred_at(self, request: InboundRequest) -> datetime:
        if self._timestamp_header is None:
            return request.received_at
        text = request.headers.get(self._timestamp_header.lower(), "")
        try:
            seconds = int(_seconds(text))
        except ValueError:
            raise Unreadable(f"{self._timestamp_header} is no time") from None
        return utc_from_epoch(seconds, self._timestamp_header)


def _seconds(timestamp: str) -> str:
    return timestamp[:-3] if len(timestamp) == _MILLISECOND_DIGITS else timestamp


def _put(path: str | None, value: str, tree: dict[str, Any], headers: dict[str, str]) -> None:
    if path is None:
        return
    kind, _, name = path.partition(":")
    if kind == "header" and name:
        headers[name.lower()] = value
        return
    *steps, last = path.split(".")
    for step in steps:
        tree = tree.setdefault(step, {})
    tree[last] = value
