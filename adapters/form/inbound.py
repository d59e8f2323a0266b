"""Lead forms of the business's own site: urlencoded, multipart or JSON, from a browser.

**Docs**: https://html.spec.whatwg.org/multipage/form-control-infrastructure.html#form-submission ·
https://www.rfc-editor.org/rfc/rfc7578 · https://fetch.spec.whatwg.org/#origin-header

**Signs**: nothing; whoever sees the page may post. A browser says in `Origin` which page sends the
form, and only those of `origins`, and the hub's own, may. No `Origin` is not foreign: old browsers
and scripts send none.

**Re-sends**: people do: by a double click, by going back, by loading the answer again. A hidden
field `_token` of 1 to 64 letters, digits, `-` and `_` makes all of that one lead; it must be drawn
anew for each view of the page, since whatever comes with a known token is taken for a repetition.
Without one, each post is a lead.

**Answers**: 303 to the page of thanks, 422 with a sentence for each field that is wrong.

**Quirks**: Fields that are not declared are ignored. Those that begin with `_` are the hub's:
`_token`, `_page` (the page's address; else `Referer`), `_referrer` (where the visitor came from)
and `_gotcha`, which is hidden from people: what fills it in is a program, and its message becomes
`form.spam`, out of which no contact is made. `utm_source medium campaign term content` are read
out of hidden fields or out of the page's address. Text is kept as it came; a field of one line
with a line break in it is refused, so that nobody writes headers into an e-mail.
"""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit

from adapters.contract.errors import ForeignOrigin
from adapters.contract.event import Event
from adapters.contract.form_inbound import FormInbound
from adapters.contract.inbound import Sample
from adapters.contract.request import InboundRequest
from adapters.form import sampling
from adapters.form.declaration import FormSettings
from adapters.form.lead import canonical
from adapters.form.submission import JSON, MULTIPART, URLENCODED, read_submission
from adapters.form.validation import Validator

NATIVE_TYPES = {"submission": "lead.submitted"}

IGNORED_TYPES = {"spam": "a field that people do not see was filled in"}

TRAP = "_gotcha"
_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_ABOUT_THE_PERSON = ("name", "email", "phone")


class Form(FormInbound):
    """One form, or several with the same fields."""

    name = "form"
    settings_schema = FormSettings
    native_types = NATIVE_TYPES
    ignored_types = IGNORED_TYPES
    secret_keys = ()
    max_bytes = 512 * 1024
    media_types = frozenset({URLENCODED, MULTIPART, JSON})

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._declared = settings["fields"]
        self._origins = frozenset(origin.lower() for origin in settings.get("origins") or ())
        self._validator = Validator(self._declared)
        self.redirect = settings.get("redirect") or None
        self.labels = {
            name: declaration.get("label") or _label(name)
            for name, declaration in self._declared.items()
        }

    def admits(self, origin: str | None, url: str) -> bool:
        """Tell whether a page of that origin may post to `url`."""
        own = urlsplit(url)
        return (
            not origin
            or origin.lower() in self._origins
            or origin.lower() == f"{own.scheme}://{own.netloc}".lower()
        )

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
            Unreadable: it is no form, or brings a file.
        """
        submitted = read_submission(request)
        filled = self._validator.valid(submitted)
        native_type = "spam" if submitted.get(TRAP) else "submission"
        lead = canonical(self._declared, filled, submitted, request.headers.get("referer"))
        if native_type == "spam":
            lead = {name: value for name, value in lead.items() if name not in _ABOUT_THE_PERSON}
        event = Event(
            type=NATIVE_TYPES.get(native_type, f"{self.name}.{native_type}"),
            native_type=native_type,
            external_id=_external_id(submitted.get("_token"), request),
            occurred_at=request.received_at,
            data={**lead, "fields": filled, "native": filled},
            fingerprint=_digest(json.dumps(filled, sort_keys=True)),
        )
        return [event]

    def sample(
        self, native_type: str, external_id: str, now: datetime, *, live: bool, url: str
    ) -> Sample:
        """Return a submission as a script on the page would post it; there is no test mode."""
        body = sampling.sample_body(self._declared, native_type, external_id)
        return Sample(body, {"content-type": JSON, "accept": JSON})

    def sample_types(self) -> Sequence[str]:
        """Return the native types that `sample` knows."""
        return sampling.SAMPLE_TYPES


def _external_id(token: Any, request: InboundRequest) -> str:
    """Return what is the same when a submission is repeated, as far as that can be known."""
    if isinstance(token, str) and _TOKEN.fullmatch(token):
        return f"token:{token}"
    at = request.received_at.isoformat().encode("ascii")
    return sha256(at + b"\n" + request.body).hexdigest()


def _digest(text: str) -> bytes:
    return sha256(text.encode("ascii")).digest()


def _label(name: str) -> str:
    words = name.replace("_", " ").replace("-", " ").strip()
    return words[:1].upper() + words[1:]
