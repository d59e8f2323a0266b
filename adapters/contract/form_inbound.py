"""Interface of form adapters: inbound adapters whose requests come from a web page's form."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar

from adapters.contract.event import Event
from adapters.contract.form_bodies import Part
from adapters.contract.inbound import Inbound
from adapters.contract.request import InboundRequest


@dataclass(frozen=True, slots=True)
class Repeated:
    """Values of a field that was sent with several different values, in order."""

    values: Sequence[str]


@dataclass(frozen=True, slots=True)
class Submission:
    """Submission of a form, read once: what a form knows of it, by field name.

    `request` is the request as it is stored: its body has the declared fields, and those of the
    hub's own that are needed to read it again. `values` has these, and what tells people from
    programs. Texts are unchanged; bytes that are not UTF-8 are surrogates. In a JSON body, a value
    may have any JSON type. `undeclared` are the names of all other fields, unchanged, each once;
    `has_stray_file`: one of them, or a declared field of another type, came with a file.
    """

    request: InboundRequest
    values: Mapping[str, Any]
    files: Mapping[str, Sequence[Part]] = field(default_factory=dict)
    undeclared: Sequence[str] = ()
    has_stray_file: bool = False

    def get(self, name: str) -> Any:
        """Return the value of a field; None if it was not sent."""
        return self.values.get(name)

    def texts(self, name: str) -> Sequence[str]:
        """Return the strings sent for a field; values of other types are left out."""
        value = self.values.get(name)
        if isinstance(value, Repeated):
            return value.values
        if isinstance(value, list):
            return [one for one in value if isinstance(one, str)]
        return [value] if isinstance(value, str) else []


@dataclass(frozen=True, slots=True)
class Signals:
    """Spam signals of a submission, to tell people from programs.

    `honeypot`: the field that is hidden from people was filled in. `after_s`: seconds from the
    token's issue to the submission's arrival, None without a valid token. `links`: number of links
    in all texts. `text`: those texts, case-folded and with single spaces, to recognise repeats.
    `phone`: E.164. `challenge`: the response token of a captcha widget.
    """

    honeypot: bool
    after_s: float | None
    links: int
    text: str = field(repr=False)
    phone: str | None = field(repr=False)
    challenge: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class FormField:
    """Declared field of a form, with the data to render it.

    `most` and `least` are its `max` and `min`: characters, a number, a date, or the number of
    choices or files. `accept` lists the accepted file extensions, `text` is the wording of a
    consent, `value` the initial value.
    """

    name: str
    type: str
    label: str
    required: bool = False
    choices: Sequence[str] = ()
    least: int | float | str | None = None
    most: int | float | str | None = None
    placeholder: str = ""
    help: str = ""
    text: str = ""
    value: str = ""
    accept: Sequence[str] = ()


# Takes the place of a secret's label, which `verify` returns: anybody may post to a form. It is
# stored with the request, and no other adapter may return it.
UNSIGNED = "form"


class FormInbound(Inbound):
    """Adapter of a form: its requests come from browsers, at `/forms/<source>`.

    A body is read once, by `read`; everything else takes the submission that it returns. `title` is
    the heading where the hub itself shows the form. `form_fields` are the declared fields in their
    order; `labels` maps each name to its label. `honeypot` is the name of a field that is hidden
    from people. `media_types` are the content types that it can read; `takes_files`: the form asks
    for files, so only a multipart body can carry all of its fields.
    """

    takes_forms: ClassVar[bool] = True
    media_types: ClassVar[frozenset[str]]
    title: str
    form_fields: Sequence[FormField]
    labels: Mapping[str, str]
    honeypot: str
    takes_files: bool
    # Origins of all pages that `thanks_page` may return.
    redirect_origins: Sequence[str]

    @abstractmethod
    def admits(self, origin: str | None, url: str) -> bool:
        """Return whether a page of that origin may post to `url`; a missing origin is allowed.

        `origin` is the unchanged header (RFC 6454, 7); `url` is the form's own URL.
        """

    @abstractmethod
    def read(self, request: InboundRequest) -> Submission:
        """Read the body of a request.

        Raises:
            Unreadable: the body is not a form.
            TooManyFields: the body has more fields than are read.
        """

    @abstractmethod
    def events(self, submission: Submission) -> Sequence[Event]:
        """Return the events of a submission, at least one.

        Raises:
            InvalidSubmission: with a sentence for each fault that the visitor can correct.
            Unreadable: it has a file for which no file field is declared.
        """

    @abstractmethod
    def signals(self, submission: Submission) -> Signals:
        """Return the spam signals of a submission; none of them is a verdict."""

    @abstractmethod
    def issue_token(self, now: datetime, nonce: str) -> str:
        """Return a token for one view of the form; all submissions with it are the same lead.

        The caller draws `nonce`: 1 to 64 letters, digits, `-` and `_`, impossible to guess.
        """

    @abstractmethod
    def thanks_page(self, submission: Submission) -> str | None:
        """Return the URL to redirect the visitor to, one from the settings; None without one."""

    @abstractmethod
    def typed(self, submission: Submission) -> Mapping[str, Sequence[str]]:
        """Return the submitted values of each field, valid or not, to be shown again; no files.

        The hub's own fields (`_token`) are included.
        """

    def parse(self, request: InboundRequest) -> Sequence[Event]:
        """Return the events of a request: those of its submission."""
        return self.events(self.read(request))

    def stored(self, request: InboundRequest) -> InboundRequest:
        """Return the request with what is kept of its body, and without its query."""
        return self.read(request).request
