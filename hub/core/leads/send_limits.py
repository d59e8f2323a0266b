"""Send limits for texts and e-mails, so that a form cannot be abused to bomb somebody with them.

The limits are checked when a delivery is claimed, before its first attempt; retries are not counted
again. Recipients that an operator wrote into hub.yaml are the business's own: instead of the limits
for strangers they have a budget. Numbers typed by visitors are also checked for their country and
for premium-rate ranges, before a text message costs money.
"""

from collections import Counter as Tally
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Row, select

from adapters import Action, InvalidParameters
from adapters.contract.form_inbound import UNSIGNED
from adapters.contract.mailboxes import recipients_in
from adapters.contract.requests import load_parameters
from hub.core.advisory_locks import advisory_lock
from hub.core.configuration import Configuration, Destination, TextLimits
from hub.core.ids import parse_id
from hub.core.leads.cap_alerts import MAILS, MESSAGES, TEXTS, alert_skipped
from hub.core.leads.rate_counters import count_recent, increment
from hub.core.leads.recipients import (
    number_in,
    own_numbers,
    own_recipients,
    recipient_keys,
    refusal_of,
)
from hub.core.leads.send_rules import (
    CAP,
    DAY_S,
    NOT_TEXTED,
    Cap,
    Cause,
    causes_of,
    mail_caps,
    mail_limits_of,
    people_cap,
    text_caps,
    text_limits_of,
)
from hub.core.models import Delivery, StoredEvent, StoredRequest

# An event may be caused by a delivery, whose event was caused by another: followed so far.
MOST_HOPS = 5


@dataclass(frozen=True, slots=True)
class SendRequest:
    """Action of a delivery that is to be checked against the send limits."""

    event_id: UUID
    action: str
    parameters: Mapping[str, Any]


class SendLimits:
    """Send limits of one destination, inside one transaction that holds its lane."""

    def __init__(
        self,
        connection: Connection,
        configuration: Configuration,
        destination: Destination,
        actions: Mapping[str, Action],
        *,
        now: datetime,
    ) -> None:
        self._connection = connection
        self._configuration = configuration
        self._destination = destination
        self._actions = actions
        self._now = now
        self._numbers: frozenset[str] | None = None
        self._recipients: frozenset[str] | None = None
        self._skipped: Tally[Cause] = Tally()
        self._is_locked = False

    def refusal(self, wanted: SendRequest) -> str | None:
        """Return the reason to skip a message; None if it may go out, and count it then."""
        action = self._actions.get(wanted.action)
        if action is None:
            return None
        from_form = self._is_from_form(wanted.event_id)
        caps: list[Cap] = []
        if action.phone:
            number = number_in(wanted.parameters, action.phone)
            if why := self._odd_number(number, from_form=from_form):
                self._skipped[Cause(NOT_TEXTED, DAY_S)] += 1
                return f"{CAP}{why}"
            caps += self._text_caps(number, wanted.event_id, from_form=from_form)
        if action.recipients and from_form and _is_accepted(wanted.parameters, action):
            caps += self._mail_caps(wanted.parameters, action.recipients)
        if not caps:
            return None
        self._lock()
        counts = count_recent(self._connection, [cap.counter for cap in caps], now=self._now)
        for cap in caps:
            if counts[cap.counter] >= cap.rate.count:
                self._skipped[cap.cause] += 1
                return f"{CAP}{cap.cause.words}"
        increment(self._connection, [cap.counter for cap in caps], now=self._now)
        return None

    def report(self) -> None:
        """Begin or continue the alert about what was skipped; to be called before the commit."""
        if not self._skipped:
            return
        self._lock()
        texts = any(action.phone for action in self._actions.values())
        mails = any(action.recipients for action in self._actions.values())
        text_limits = [self._text_limits(from_form=one) for one in (True, False)]
        alert_skipped(
            self._connection,
            self._destination.slug,
            self._skipped,
            known=causes_of(text_limits, mail_limits_of(self._destination.mail_limits)),
            noun=MESSAGES if texts and mails else TEXTS if texts else MAILS,
            now=self._now,
        )
        self._skipped.clear()

    def _odd_number(self, number: str, *, from_form: bool) -> str | None:
        """Return the reason why a number may not be texted at all; None if it may."""
        if number in self._own_numbers():
            return None
        limits = self._text_limits(from_form=from_form)
        return None if limits.countries is None else refusal_of(number, limits.countries)

    def _text_caps(self, number: str, event_id: UUID, *, from_form: bool) -> Iterator[Cap]:
        slug, limits = self._destination.slug, self._text_limits(from_form=from_form)
        if number in self._own_numbers():
            return people_cap(slug, limits.people_per_hour)
        sender = self._sender(event_id) if limits.per_address else None
        return text_caps(slug, limits, number, sender)

    def _mail_caps(self, parameters: Mapping[str, Any], names: tuple[str, ...]) -> Iterator[Cap]:
        slug, limits = self._destination.slug, mail_limits_of(self._destination.mail_limits)
        own = self._own_recipients()
        named = recipient_keys(recipients_in(parameters, names))
        strangers = [one for one in named if one not in own]
        if strangers or not named:
            yield from mail_caps(slug, limits, strangers)
        if len(strangers) < len(named):
            yield from people_cap(slug, limits.people_per_hour)

    def _text_limits(self, *, from_form: bool) -> TextLimits:
        country = self._configuration.site.country
        return text_limits_of(self._destination.limits, country, from_form=from_form)

    def _own_numbers(self) -> frozenset[str]:
        if self._numbers is None:
            named = {action.phone for action in self._actions.values() if action.phone}
            self._numbers = own_numbers(self._configuration, named)
        return self._numbers

    def _own_recipients(self) -> frozenset[str]:
        if self._recipients is None:
            named = {name for action in self._actions.values() for name in action.recipients}
            self._recipients = own_recipients(self._configuration, named)
        return self._recipients

    def _is_from_form(self, event_id: UUID) -> bool:
        """Return whether a form caused an event, itself or by a delivery that the event is about.

        What is stored of its request says so, whatever has become of its source in hub.yaml. An
        event that is unknown, or too far from its cause, may have been caused by a form.
        """
        event = self._event(StoredEvent.id == event_id)
        for _ in range(MOST_HOPS):
            if event is None or event.signed_by in (None, UNSIGNED):
                return True
            delivery_id = parse_id(event.caused_by or "")
            if delivery_id is None:
                return False
            about = select(Delivery.event_id).where(Delivery.id == delivery_id).scalar_subquery()
            event = self._event(StoredEvent.id == about)
        return True

    def _event(self, which: ColumnElement[bool]) -> Row[Any] | None:
        caused_by = StoredEvent.data["delivery_id"].as_string().label("caused_by")
        found = select(StoredRequest.signed_by, caused_by).join(
            StoredEvent, StoredEvent.request_id == StoredRequest.id
        )
        return self._connection.execute(found.where(which)).one_or_none()

    def _sender(self, event_id: UUID) -> str | None:
        found = select(StoredEvent.sender).where(StoredEvent.id == event_id)
        sender: str | None = self._connection.scalar(found)
        return sender

    def _lock(self) -> None:
        """Wait for claims of the destination's other shards, which count too: until commit."""
        if self._destination.shards > 1 and not self._is_locked:
            # The name that workers of every release lock; it holds for e-mails as well.
            advisory_lock(self._connection, "texts", self._destination.slug)
            self._is_locked = True


def _is_accepted(parameters: Mapping[str, Any], action: Action) -> bool:
    """Return whether an action accepts its parameters: otherwise nothing is sent."""
    try:
        load_parameters(action.parameters, parameters)
    except InvalidParameters:
        return False
    return True


def limits_of(
    connection: Connection,
    configuration: Configuration,
    destination: Destination,
    actions: Mapping[str, Action],
    *,
    now: datetime,
) -> SendLimits | None:
    """Return the send limits of a destination; None if none of its actions writes to people."""
    writing = {
        name: action for name, action in actions.items() if action.phone or action.recipients
    }
    return SendLimits(connection, configuration, destination, writing, now=now) if writing else None
