"""Lead forms on the business's own site: urlencoded, multipart or JSON bodies from a browser.

**Docs**: https://html.spec.whatwg.org/multipage/form-control-infrastructure.html#form-submission ·
https://www.rfc-editor.org/rfc/rfc7578 · https://fetch.spec.whatwg.org/#origin-header

**Signs**: nothing; anyone who sees the page may post. A browser names the origin of the sending
page in `Origin`: only those in `origins`, and the hub's own, are accepted. A missing `Origin` is
accepted: old browsers and scripts send none.

**Re-sends**: by the visitor: a double click, going back, reloading the response. A hidden field
`_token`, which the hub issues for each view of the form, makes all of these one lead for a day.
Any other token, or none, is not a fault: each post is then a lead of its own.

**Answers**: 303 to the thank-you page, 422 with a sentence for each invalid field.

**Quirks**: Fields that are not declared are not kept; their names are counted. Names that begin
with `_` are reserved for the hub: `_token`, `_page` (the page's URL; else `Referer`), `_referrer`
(the page that the visitor came from), `_next` (one of `redirects`) and `_gotcha`, the field that is
hidden from people unless `honeypot` names another; only a program fills it in. `utm_source medium
campaign term content` are read from hidden fields or from the page's URL. Text is stored as sent; a
line break in a field of one line is rejected, so that no visitor can inject headers into an e-mail.
The type of a file is that of its extension, whatever the sender declares.

**Samples**: built from the declared fields, because each form has others.
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
from adapters.contract.form_inbound import UNSIGNED, FormInbound, Signals, Submission
from adapters.contract.inbound import Sample
from adapters.contract.request import InboundRequest
from adapters.form import samples, submission_tokens
from adapters.form.body_size import longest_body
from adapters.form.files import attachments
from adapters.form.lead import canonical
from adapters.form.settings import HONEYPOT, FormSettings, well_declared
from adapters.form.spam_signals import signals_of
from adapters.form.submission import JSON, MULTIPART, URLENCODED, SubmissionReader
from adapters.form.validation import Validator, form_field

NATIVE_TYPES = {"submission": "lead.submitted"}

TRYING_KEY = b"published: tokens of a hub without a SECRET_KEY"
# Age of a sample's token, as if a person had filled in the form; programs are quicker.
FILLED_IN_WITHIN = timedelta(minutes=1)
_NONCE = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_SURROGATE = re.compile("[\ud800-\udfff]")


class Form(FormInbound):
    """Adapter of one form, or of several with the same fields.

    The setting `token_key` comes from the hub, not from hub.yaml.
    """

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
        self._reader = SubmissionReader(self._declared, self.honeypot)
        self.labels = {field.name: field.label for field in self.form_fields}
        self.takes_files = any(field.type == "file" for field in self.form_fields)
        self.redirect_origins = sorted({_origin(one) for one in self._targets()})

    @classmethod
    def longest_body(cls, settings: Mapping[str, Any], max_bytes: int | None = None) -> int:
        """Return the maximum size of a body in bytes: `max_bytes`, where the source says it.

        Otherwise it is that of its fields, and 64 KiB, but at most 512 KiB and that of all files.
        """
        declared = well_declared(settings.get("fields", {}))
        return longest_body(declared, cls.max_bytes, max_bytes)

    def admits(self, origin: str | None, url: str) -> bool:
        """Return whether a page of that origin may post to `url`."""
        return not origin or origin.lower() in self._origins or origin.lower() == _origin(url)

    def verify(self, request: InboundRequest) -> str:
        """Return the label `UNSIGNED` if the `Origin` of the request is allowed or missing.

        Raises:
            ForeignOrigin: the `Origin` is not allowed.
        """
        if not self.admits(request.headers.get("origin"), request.url):
            raise ForeignOrigin("Origin: none of this form's `origins`")
        return UNSIGNED

    def read(self, request: InboundRequest) -> Submission:
        """Read the body of a request.

        Raises:
            Unreadable: the body is not a form.
            TooManyFields: the body has more fields than are read.
        """
        return self._reader.read(request)

    def events(self, submission: Submission) -> Sequence[Event]:
        """Return the one event of a submission.

        Raises:
            InvalidSubmission: with a sentence for each invalid field.
            Unreadable: it has a file for which no file field is declared.
        """
        if submission.has_stray_file:
            raise Unreadable("this form takes no such file")
        received_at = submission.request.received_at
        valid = self._validator.valid(submission, received_at)
        filled, kept = _listed(valid)
        referer = submission.request.headers.get("referer")
        lead = canonical(self._declared, filled, submission, referer)
        if kept:
            lead["attachments"] = [_described(one) for one in kept]
        event = Event(
            type=NATIVE_TYPES["submission"],
            native_type="submission",
            external_id=self._external_id(submission),
            occurred_at=received_at,
            data={**lead, "fields": filled, "native": filled},
            fingerprint=_fingerprint(filled, kept),
            attachments=kept,
        )
        return [event]

    def signals(self, submission: Submission) -> Signals:
        """Return the spam signals of a submission."""
        token = self._token(submission)
        return signals_of(
            self._declared,
            submission,
            honeypot=self.honeypot,
            after_s=token.age_s if token else None,
        )

    def issue_token(self, now: datetime, nonce: str) -> str:
        """Return a token for one view of the form."""
        return submission_tokens.issue(self._key, now, nonce)

    def thanks_page(self, submission: Submission) -> str | None:
        """Return the URL of the thank-you page, or None without one."""
        wanted = submission.get("_next")
        known = isinstance(wanted, str) and wanted in self._redirects
        return str(wanted) if known else self._redirect

    def typed(self, submission: Submission) -> Mapping[str, Sequence[str]]:
        """Return the submitted values of each field, including the hub's own fields.

        Bytes that are not UTF-8, and lone surrogates, become U+FFFD.
        """
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

    def _token(self, submission: Submission) -> submission_tokens.Token | None:
        sent, received_at = submission.get("_token"), submission.request.received_at
        return submission_tokens.read(self._key, sent, received_at)

    def _external_id(self, submission: Submission) -> str:
        """Return the event's id; a repeated submission with a valid token has the same one."""
        if token := self._token(submission):
            return f"token:{token.nonce}"
        at = submission.request.received_at.isoformat().encode("ascii")
        return sha256(at + b"\n" + submission.request.body).hexdigest()


def _listed(valid: Mapping[str, Any]) -> tuple[dict[str, Any], list[Attachment]]:
    """Return the fields, with files as descriptions, and the files; `attachment` counts from 1."""
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
    """Return a digest of the submitted values and files, without the time of a consent."""
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
