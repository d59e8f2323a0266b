"""What a source promises that people post to from a web page, beside what every source does."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar

from adapters.contract.inbound import Inbound


class FormInbound(Inbound):
    """A form's adapter: its requests come from browsers, at `/forms/<source>`.

    `parse` raises InvalidSubmission for what the person can mend, with a sentence per field.
    `redirect` is the page of thanks that they are sent to, or None. `labels` has what a person
    calls each declared field. `media_types` are the bodies that it can read.
    """

    takes_forms: ClassVar[bool] = True
    redirect: str | None
    labels: Mapping[str, str]
    media_types: ClassVar[frozenset[str]]

    @abstractmethod
    def admits(self, origin: str | None, url: str) -> bool:
        """Tell whether a page of that origin may post to `url`; no origin is not foreign.

        `origin` is the header as it came (RFC 6454, 7); `url` is the form's own address.
        """
