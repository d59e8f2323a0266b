"""What a source promises that people post to from a web page, beside what every source does."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar

from adapters.contract.inbound import Inbound
from adapters.contract.request import InboundRequest


@dataclass(frozen=True, slots=True)
class Signals:
    """What a submission tells of itself to whoever has to know people from programs.

    `honeypot`: the field that people do not see was filled in. `after_s`: seconds between the
    token's issue and the arrival, None without a valid token. `links`: how many there are in all
    texts. `text`: those texts, case folded and with single spaces, to know repeats by. `phone`:
    E.164. `challenge`: what a captcha's widget answered.
    """

    honeypot: bool
    after_s: float | None
    links: int
    text: str = field(repr=False)
    phone: str | None = field(repr=False)
    challenge: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class FormField:
    """One declared field, for those who draw the form.

    `most` and `least` are what its `max` and `min` say: characters, a number, a date, or how many
    choices or files. `accept` are the file extensions that it takes, `text` is what is consented
    to, `value` what it holds at first.
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


class FormInbound(Inbound):
    """A form's adapter: its requests come from browsers, at `/forms/<source>`.

    `parse` raises InvalidSubmission for what the person can mend, with a sentence per field.
    `title` stands above the form where the hub itself shows it. `form_fields` are the declared
    ones in their order, `labels` what a person calls each. `honeypot` is the name of a field that
    people do not see. `media_types` are the bodies that it can read; `takes_files`: only a
    multipart one brings all that is asked for.
    """

    takes_forms: ClassVar[bool] = True
    media_types: ClassVar[frozenset[str]]
    title: str
    form_fields: Sequence[FormField]
    labels: Mapping[str, str]
    honeypot: str
    takes_files: bool
    # The origins of all pages that `thanks_page` may name.
    redirect_origins: Sequence[str]

    @abstractmethod
    def admits(self, origin: str | None, url: str) -> bool:
        """Tell whether a page of that origin may post to `url`; no origin is not foreign.

        `origin` is the header as it came (RFC 6454, 7); `url` is the form's own address.
        """

    @abstractmethod
    def signals(self, request: InboundRequest) -> Signals:
        """Return what tells programs from people; nothing here is a verdict.

        Raises:
            Unreadable: it is no form.
        """

    @abstractmethod
    def issue_token(self, now: datetime, nonce: str) -> str:
        """Return a token for one view of the form: what comes with it again is the same lead.

        `nonce` is drawn by the caller: 1 to 64 letters, digits, `-` and `_` that nobody guesses.
        """

    @abstractmethod
    def thanks_page(self, request: InboundRequest) -> str | None:
        """Return where the person goes next: a target that the settings name, None without one.

        Raises:
            Unreadable: it is no form.
        """

    @abstractmethod
    def typed(self, request: InboundRequest) -> Mapping[str, Sequence[str]]:
        """Return what was typed into each field, wrong or not, to be shown again; no files.

        The hub's own fields (`_token`) are among it.

        Raises:
            Unreadable: it is no form.
        """
