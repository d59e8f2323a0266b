"""Send limits for text messages, so that a form cannot be abused to text arbitrary numbers.

The limits are checked when a delivery is claimed, before its first attempt. Numbers that an
operator wrote into hub.yaml (a literal number, those of `people`) and retries are not counted.
Numbers typed by visitors are also checked for their country and for premium-rate ranges, before a
text message costs money.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, select

from adapters import Action, registry
from hub.core.advisory_locks import advisory_lock
from hub.core.configuration import Configuration, Destination, Rate, Route, TextLimits
from hub.core.leads.rate_counters import Counter, count_recent, counter_key, increment
from hub.core.models import LimitCount, StoredEvent, insert_if_new
from hub.core.monitoring import alerts

_E164 = re.compile(r"\+[1-9][0-9]{6,14}", re.ASCII)
_LAST_DIGITS = 4
DAY_S = 86_400.0
_SPANS = ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s"))


def refusal_of(number: str, countries: Collection[str]) -> str | None:
    """Return the reason to refuse a telephone number, None if a text message may be sent to it.

    The reason never contains the number. Premium-rate, toll-free, satellite, personal and
    unassigned ranges are refused in every country. Countries that share a calling code are told
    apart.
    """
    # Imported late: slow to import, and many configurations never use it.
    import phonenumbers
    from phonenumbers import PhoneNumberType as Kind

    if not _E164.fullmatch(number):
        return "it is no telephone number like +12025550123"
    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return "it is a number of no country"
    ordinary = (Kind.FIXED_LINE, Kind.MOBILE, Kind.FIXED_LINE_OR_MOBILE, Kind.VOIP)
    if phonenumbers.number_type(parsed) not in ordinary:
        return "it is a number of a premium, personal or other odd range"
    if phonenumbers.region_code_for_number(parsed) not in countries:
        return f"it is a number of another country than {', '.join(sorted(countries))}"
    return None


def prefix_of(number: str) -> str:
    """Return a number without its last digits, the prefix shared with neighbouring numbers."""
    return number[:-_LAST_DIGITS]


@dataclass(frozen=True, slots=True)
class SendRequest:
    """Action of a delivery that is to be checked against the send limits."""

    route: Route
    event_id: UUID
    source: str
    action: str
    parameters: Mapping[str, Any]


class SendLimits:
    """Send limits of one destination, inside one transaction that holds its lane."""

    def __init__(
        self,
        connection: Connection,
        configuration: Configuration,
        destination: Destination,
        phones: Mapping[str, str],
        *,
        now: datetime,
    ) -> None:
        self._connection = connection
        self._configuration = configuration
        self._destination = destination
        self._phones = phones
        self._now = now
        self._said: set[str] = set()
        self._is_locked = False

    def refusal(self, wanted: SendRequest) -> str | None:
        """Return the reason to refuse a text message; None if it may go out, and count it then."""
        name = self._phones.get(wanted.action)
        if name is None or self._is_chosen(wanted, name):
            return None
        limits = self._limits(wanted.source)
        if limits == TextLimits():
            return None
        to = wanted.parameters.get(name)
        number = to.rpartition(":")[2] if isinstance(to, str) else ""
        if limits.countries is not None and (why := refusal_of(number, limits.countries)):
            return self._refuse(why, DAY_S)
        self._lock()
        rates = list(self._rates(limits, number, wanted.event_id))
        counts = count_recent(self._connection, [watched for watched, _, _ in rates], now=self._now)
        for watched, rate, whose in rates:
            if counts[watched] >= rate.count:
                return self._refuse(f"{rate.count} in {_span(rate.per_s)} {whose}", rate.per_s)
        increment(self._connection, [watched for watched, _, _ in rates], now=self._now)
        return None

    def _lock(self) -> None:
        """Wait for claims of the destination's other shards, which count too: until commit."""
        if self._destination.shards > 1 and not self._is_locked:
            advisory_lock(self._connection, "texts", self._destination.slug)
            self._is_locked = True

    def _limits(self, source: str) -> TextLimits:
        """Return the limits for events of a source.

        The defaults apply to events of forms; events signed by a provider have only the limits
        given in hub.yaml.
        """
        given = self._destination.limits
        known = self._configuration.sources.get(source)
        if known is not None and not registry.inbound(known.adapter).takes_forms:
            return given
        return TextLimits(
            countries=given.countries or (self._configuration.site.country,),
            per_number=given.per_number or Rate(3, DAY_S),
            per_prefix=given.per_prefix or Rate(30, 3_600),
            per_address=given.per_address,
            per_day=given.per_day or 500,
        )

    def _is_chosen(self, wanted: SendRequest, name: str) -> bool:
        """Return whether the number comes from hub.yaml: a literal of the route, or a person's."""
        written = wanted.route.parameters.tree.get(name)
        if isinstance(written, str) and "{" not in written:
            return True
        people = self._configuration.people.values()
        to = wanted.parameters.get(name)
        return isinstance(to, str) and to.rpartition(":")[2] in {one.phone for one in people}

    def _rates(
        self, limits: TextLimits, number: str, event_id: UUID
    ) -> Iterator[tuple[Counter, Rate, str]]:
        """Yield each counter, its rate, and the words that say to what the rate applies."""
        if limits.per_number:
            yield (
                self._watched("number", number, limits.per_number),
                limits.per_number,
                ("to one number"),
            )
        if limits.per_prefix:
            prefix = prefix_of(number)
            yield (
                self._watched("prefix", prefix, limits.per_prefix),
                limits.per_prefix,
                ("to numbers that begin alike"),
            )
        if limits.per_address and (sender := self._sender(event_id)):
            yield (
                self._watched("address", sender, limits.per_address),
                limits.per_address,
                ("asked for from one address"),
            )
        if limits.per_day:
            rate = Rate(limits.per_day, DAY_S)
            yield self._watched("all", "", rate), rate, "by this destination"

    def _watched(self, what: str, whom: str, rate: Rate) -> Counter:
        return Counter(f"texts {what}", f"{self._destination.slug}\0{whom}", rate.per_s)

    def _sender(self, event_id: UUID) -> str | None:
        found = select(StoredEvent.sender).where(StoredEvent.id == event_id)
        sender: str | None = self._connection.scalar(found)
        return sender

    def _refuse(self, why: str, for_s: float) -> str:
        """Return the refusal, and begin an alert that lasts until the window has passed."""
        if why not in self._said:
            self._said.add(why)
            self._tell(why, for_s)
        return f"cap: {why}"

    def _tell(self, why: str, for_s: float) -> None:
        slug = self._destination.slug
        window = Counter("", "", for_s)
        until = window.ends_at(window.slot_at(self._now))
        self._connection.execute(
            insert_if_new(self._connection, LimitCount).values(
                key=_alert_key(slug), slot_at=until, n=1, ends_at=until
            )
        )
        message = (
            f"a text was skipped: {why}. `hub deliveries --state skipped --destination {slug}` "
            "lists them, `limits` in hub.yaml says what may go out; replay what was right"
        )
        alerts.begin(self._connection, alerts.CAP_REACHED, slug, message, now=self._now)


def limits_of(
    connection: Connection,
    configuration: Configuration,
    destination: Destination,
    actions: Mapping[str, Action],
    *,
    now: datetime,
) -> SendLimits | None:
    """Return the send limits of a destination; None if none of its actions has a phone number."""
    phones = {name: action.phone for name, action in actions.items() if action.phone}
    return SendLimits(connection, configuration, destination, phones, now=now) if phones else None


def end_expired_alerts(connection: Connection, *, now: datetime) -> None:
    """End the alerts of destinations whose send limits have not refused anything in the window."""
    for slug in alerts.subjects(connection, alerts.CAP_REACHED, to_end=True):
        lasting = select(LimitCount.key).where(
            LimitCount.key == _alert_key(slug), LimitCount.ends_at > now
        )
        if connection.execute(lasting.limit(1)).first() is None:
            alerts.end(connection, alerts.CAP_REACHED, slug, now=now)


def _alert_key(slug: str) -> bytes:
    return counter_key(f"cap alert\0{slug}")


def _span(seconds: float) -> str:
    """Return a time span in the notation of hub.yaml: `1d`, `90s`."""
    size, unit = next((size, unit) for size, unit in _SPANS if seconds % size == 0)
    return f"{int(seconds // size)}{unit}"
