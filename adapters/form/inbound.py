"""Lead forms of the business's own site: urlencoded, multipart or JSON, from a browser.

**Docs**: https://html.spec.whatwg.org/multipage/form-control-infrastructure.html#form-submission ·
https://www.rfc-editor.org/rfc/rfc7578 · https://fetch.spec.whatwg.org/#origin-header

**Signs**: nothing; whoever sees the page may post. A browser says in `Origin` which page sends the
form, and only those of `origins`, and the hub's own, may. No `Origin` is not foreign: old browsers
and scripts send none.

**Re-sends**: people do: by a double click, by going back, by loading the answer again. A hidden
field `_token`, which the hub gives out for each view of the form, makes all of that one lead for a
day. Any other token, or none, is no fault: each post is a lead then.

**Answers**: 303 to the page of thanks, 422 with a sentence for each field that is wrong.

**Quirks**: Fields that are not declared are ignored. Those that begin with `_` are the hub's:
`_token`, `_page` (the page's address; else `Referer`), `_referrer` (where the visitor came from),
`_next` (one of `redirects`) and `_gotcha`, the field that is hidden from people unless `honeypot`
names another; what fills it in is a program. `utm_source medium campaign term content` are read
out of hidden fields or out of the page's address. Text is kept as it came; a field of one line
with a line break in it is refused, so that nobody writes headers into an e-mail. Files are what
their extension says, whatever the sender calls them.
"""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from adapters.contract.errors import ForeignOrigin, Unreadable
from adapters.contract.event import Attachment, Event
from adapters.contract.form_bodies import Part
from adapters.contract.form_inbound import FormInbound, Signals
from adapters.contract.inbound import Sample
from adapters.contract.request import InboundRequest
from adapters.form import samples, submission_tokens
from adapters.form.files import attachments, most_bytes
from adapters.form.lead import canonical
from adapters.form.settings import HONEYPOT, FormSettings, well_declared
from adapters.form.spam_signals import signals_of
from adapters.form.submission import JSON, MULTIPART, URLENCODED, Submission, read_submission
from adapters.form.validation import Validator, form_field

NATIVE_TYPES = {"submission": "lead.submitted"}

TRYING_KEY = b"published: tokens of a hub without a SECRET_KEY"
# How long ago the person of a sample opened the form: programs are quicker.
FILLED_IN_WITHIN = timedelta(minutes=1)
_NONCE = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_SURROGATE = re.compile("[\ud800-\udfff]")


class Form(FormInbound):
    """One form, or several with the same fields. `token_key` is the hub's own, not the file's."""

    name = "form"
    settings_schema = FormSettings
    native_types = NATIVE_TYPES
    ignored_types = MappingProxyType({})
    secret_keys = ()
    max_bytes = 512 * 1024
    media_types = frozenset({URLENCODED, MULTIPART, JSON})

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._declared: Mapping[str, Mapping[str, Any]] = settings["fields"]
        self._origins = frozenset(origin.lower() for origin in settings.get("origins") or ())
        self._validator = Validator(self._declared)
        self._key: bytes = settings.get("token_key") or TRYING_KEY
        self._redirect: str | None = settings.get("redirect") or None
        self._redirects = frozenset(settings.get("redirects") or ())
        self.title = settings.get("title") or "Contact us"
        self.honeypot = settings.get("honeypot") or HONEYPOT
        self.form_fields = [form_field(name, field) for name, field in self._declared.items()]
        self.labels = {field.name: field.label for field in self.form_fields}
        self.takes_files = any(field.type == "file" for field in self.form_fields)
        self.redirect_origins = sorted({_origin(one) for one in self._targets()})

    @classmethod
    def longest_body(cls, settings: Mapping[str, Any]) -> int:
        """Return what all files of a submission may come to, beside its texts."""
        return cls.max_bytes + most_bytes(well_declared(settings.get("fields", {})))

    def admits(self, origin: str | None, url: str) -> bool:
        """Tell whether a page of that origin may post to `url`."""
        return not origin or origin.lower() in self._origins or origin.lower() == _origin(url)

    def verify(self, request: InboundRequest) -> str:
        """Return `form`, if the page that sent it is one of ours.

        Raises:
            ForeignOrigin: it is not.
        """
        if not self.admits(request.headers.get("origin"), request.url):
            raise ForeignOrigin("Origin: none of this form's `origins`")
        return "form"

    def parse(self, request: InboundRequest) -> Sequence[Event]:
        """Return the one event that a submission is.

        Raises:
            InvalidSubmission: a sentence for each field that is wrong.
            Unreadable: it is no form, or brings a file that nobody asked for.
        """
        submission = read_submission(request)
        asked = {field.name for field in self.form_fields if field.type == "file"}
        if not submission.files.keys() <= asked:
            raise Unreadable("this form takes no such file")
        valid = self._validator.valid(submission, request.received_at)
        filled, kept = _listed(valid)
        lead = canonical(self._declared, filled, submission, request.headers.get("referer"))
        if kept:
            lead["attachments"] = [_described(one) for one in kept]
        event = Event(
            type=NATIVE_TYPES["submission"],
            native_type="submission",
            external_id=self._external_id(submission, request),
            occurred_at=request.received_at,
            data={**lead, "fields": filled, "native": filled},
            fingerprint=_fingerprint(filled, kept),
            attachments=kept,
        )
        return [event]

    def signals(self, request: InboundRequest) -> Signals:
        """Return what tells programs from people.

        Raises:
            Unreadable: it is no form.
        """
        submission = read_submission(request)
        token = self._token(submission, request)
        return signals_of(
            self._declared,
            submission,
            honeypot=self.honeypot,
            after_s=token.age_s if token else None,
        )

    def issue_token(self, now: datetime, nonce: str) -> str:
        """Return a token for one view of the form."""
        return submission_tokens.issue(self._key, now, nonce)

    def thanks_page(self, request: InboundRequest) -> str | None:
        """Return where the person goes next, None without a page of thanks."""
        wanted = read_submission(request).get("_next")
        known = isinstance(wanted, str) and wanted in self._redirects
        return str(wanted) if known else self._redirect

    def typed(self, request: InboundRequest) -> Mapping[str, Sequence[str]]:
        """Return what was typed into each field, the hub's own among them.

        What is no character (bytes that are no UTF-8, lone surrogates) is U+FFFD.
        """
        submission = read_submission(request)
        return {
            name: [_SURROGATE.sub("\ufffd", one) for one in submission.texts(name)]
            for name in submission.values
        }

    def sample(
        self, native_type: str, external_id: str, now: datetime, *, live: bool, url: str
    ) -> Sample:
        """Return a submission as a script on the page would post it; there is no test mode."""
        nonce = external_id if _NONCE.fullmatch(external_id) else _digest(external_id).hex()
        token = self.issue_token(now - FILLED_IN_WITHIN, nonce)
        return samples.sample_of(self._declared, native_type, token, nonce)

    def sample_types(self) -> Sequence[str]:
        """Return the native types that `sample` knows."""
        return samples.SAMPLE_TYPES

    def _targets(self) -> Sequence[str]:
        return [*self._redirects, *([self._redirect] if self._redirect else [])]

    def _token(
        self, submission: Submission, request: InboundRequest
    ) -> submission_tokens.Token | None:
        return submission_tokens.read(self._key, submission.get("_token"), request.received_at)

    def _external_id(self, submission: Submission, request: InboundRequest) -> str:
        """Return what is the same when a submission is repeated, as far as that can be known."""
        if token := self._token(submission, request):
            return f"token:{token.nonce}"
        at = request.received_at.isoformat().encode("ascii")
        return sha256(at + b"\n" + request.body).hexdigest()


def _listed(valid: Mapping[str, Any]) -> tuple[dict[str, Any], list[Attachment]]:
    """Return the fields with each file described, and the files; `attachment` counts from 1."""
    parts = [part for value in valid.values() if _is_files(value) for part in value]
    kept = attachments(parts)
    described = iter([{"attachment": n, **_described(one)} for n, one in enumerate(kept, 1)])
    filled = {
        name: [next(described) for _ in value] if _is_files(value) else value
        for name, value in valid.items()
    }
    return filled, kept


def _is_files(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], Part)


def _described(one: Attachment) -> dict[str, Any]:
    return {"name": one.name, "content_type": one.content_type, "size": len(one.content)}


def _fingerprint(filled: Mapping[str, Any], kept: Sequence[Attachment]) -> bytes:
    """Return a digest of what was filled in; when a consent was given is no part of it."""
    lasting = {
        name: {"given": value["given"], "text": value["text"]} if isinstance(value, dict) else value
        for name, value in filled.items()
    }
    contents = [sha256(one.content).hexdigest() for one in kept]
    said = [lasting, contents] if contents else lasting
    return _digest(json.dumps(said, sort_keys=True))


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}".lower()


def _digest(text: str) -> bytes:
    return sha256(text.encode("utf-8", "surrogatepass")).digest()
