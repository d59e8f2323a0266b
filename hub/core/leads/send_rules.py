"""Send rules: the caps of text messages and e-mails, each with its counter, rate and words.

Events of forms have the defaults; of what else there is, texts have the caps that hub.yaml gives
them, and e-mails none. The business's own people have a budget of their own.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from hub.core.configuration import MailLimits, Rate, TextLimits
from hub.core.leads.rate_counters import Counter
from hub.core.leads.recipients import prefix_of

HOUR_S, DAY_S = 3_600.0, 86_400.0
PEOPLE_PER_HOUR = 60
MAIL_DEFAULTS = MailLimits(Rate(3, DAY_S), 200, PEOPLE_PER_HOUR)
# Begins the reason of each delivery that a send limit has skipped.
CAP = "cap: "
TO_PEOPLE = "to your own people"
NOT_TEXTED = "the number may not be texted"

_TO_NUMBER, _TO_PREFIX = "to one number", "to numbers that begin alike"
_FROM_ADDRESS, _TO_MAILBOX = "asked for from one address", "to one e-mail address"
_IN_ALL = "by this destination"
_SPANS = ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s"))


@dataclass(frozen=True, slots=True)
class Cause:
    """Cause for which messages are skipped: its words, and for how many seconds it lasts."""

    words: str
    per_s: float

    @property
    def is_about_people(self) -> bool:
        """Return whether those skipped were for the business's own people."""
        return self.words.endswith(TO_PEOPLE)


@dataclass(frozen=True, slots=True)
class Cap:
    """Cap of messages: at most `rate` of what `counter` counts."""

    counter: Counter
    rate: Rate
    cause: Cause


def text_limits_of(given: TextLimits, country: str, *, from_form: bool) -> TextLimits:
    """Return the limits that hold for a text: those of hub.yaml, and for forms the defaults."""
    if not from_form:
        return replace(given, people_per_hour=None)
    return TextLimits(
        countries=given.countries or (country,),
        per_number=given.per_number or Rate(3, DAY_S),
        per_prefix=given.per_prefix or Rate(30, HOUR_S),
        per_address=given.per_address,
        per_day=given.per_day or 500,
        people_per_hour=given.people_per_hour or PEOPLE_PER_HOUR,
    )


def mail_limits_of(given: MailLimits) -> MailLimits:
    """Return the limits of e-mails that forms cause: those of hub.yaml, else the defaults."""
    return MailLimits(
        given.per_recipient or MAIL_DEFAULTS.per_recipient,
        given.per_day or MAIL_DEFAULTS.per_day,
        given.people_per_hour or MAIL_DEFAULTS.people_per_hour,
    )


def text_caps(slug: str, limits: TextLimits, number: str, sender: str | None) -> Iterator[Cap]:
    """Yield the caps of a text to a number; `sender` is the digest of who asked for it."""
    if limits.per_number:
        yield _cap("texts number", slug, number, limits.per_number, _TO_NUMBER)
    if limits.per_prefix:
        yield _cap("texts prefix", slug, prefix_of(number), limits.per_prefix, _TO_PREFIX)
    if limits.per_address and sender:
        yield _cap("texts address", slug, sender, limits.per_address, _FROM_ADDRESS)
    if limits.per_day:
        yield _cap("texts all", slug, "", Rate(limits.per_day, DAY_S), _IN_ALL)


def mail_caps(slug: str, limits: MailLimits, recipients: Sequence[str]) -> Iterator[Cap]:
    """Yield the caps of one e-mail to these recipients (`recipients.recipient_key`).

    That of the day holds although no recipient is known.
    """
    if limits.per_recipient:
        for recipient in recipients:
            yield _cap("mails recipient", slug, recipient, limits.per_recipient, _TO_MAILBOX)
    if limits.per_day:
        yield _cap("mails all", slug, "", Rate(limits.per_day, DAY_S), _IN_ALL)


def people_cap(slug: str, per_hour: int | None) -> Iterator[Cap]:
    """Yield the cap of messages to the business's own people."""
    if per_hour:
        yield _cap("messages people", slug, "", Rate(per_hour, HOUR_S), TO_PEOPLE)


def causes_of(text_limits: Sequence[TextLimits], mail_limits: MailLimits) -> list[Cause]:
    """Return each cause once for which messages under these limits may be skipped."""
    caps: list[Cap] = []
    for limits in text_limits:
        caps += text_caps("", limits, "", "somebody")
        caps += people_cap("", limits.people_per_hour)
    caps += [*mail_caps("", mail_limits, [""]), *people_cap("", mail_limits.people_per_hour)]
    return list(dict.fromkeys([*(cap.cause for cap in caps), Cause(NOT_TEXTED, DAY_S)]))


def _cap(what: str, slug: str, whom: str, rate: Rate, applies: str) -> Cap:
    counter = Counter(what, f"{slug}\0{whom}", rate.per_s)
    return Cap(counter, rate, Cause(f"{rate.count} in {_span(rate.per_s)} {applies}", rate.per_s))


def _span(seconds: float) -> str:
    """Return a time span in the notation of hub.yaml: `1d`, `90s`."""
    size, unit = next((size, unit) for size, unit in _SPANS if seconds % size == 0)
    return f"{int(seconds // size)}{unit}"
