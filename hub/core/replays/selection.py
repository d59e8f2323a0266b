"""Selection of deliveries: one filter for page addresses, the table of replays, and queries."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import ColumnElement, exists

from adapters.contract.fields import rfc3339
from hub.core.ids import first_id, parse_id
from hub.core.models import Delivery, DeliveryState, StoredEvent, is_among

Statement = TypeVar("Statement", bound=Any)

# Longest text of a filter, in characters.
LONGEST = 200

_YES, _NO = ("yes", "1", "true", "live"), ("no", "0", "false", "test")
_OF_THE_EVENT = {
    "type": StoredEvent.type,
    "source": StoredEvent.source,
    "contact": StoredEvent.contact_id,
}


class NotReadable(ValueError):
    """Filter value that is not valid; the message names the filter."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Filter of deliveries: all conditions must hold, None sets none. `q` is a text in the error.

    `since` (inclusive) and `until` (exclusive) apply to the creation time of a delivery. `ids`
    selects single deliveries.
    """

    state: str | None = None
    destination: str | None = None
    route: str | None = None
    action: str | None = None
    type: str | None = None
    source: str | None = None
    q: str | None = None
    live: bool | None = None
    event: UUID | None = None
    contact: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None
    ids: Sequence[UUID] | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the filter as JSON values that `selection_of` reads, without unset fields."""
        found = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: _plain(value) for name, value in found.items() if value is not None}

    def fingerprint(self, *, again: bool) -> str:
        """Return a digest that is equal for two requests for the same replay."""
        text = json.dumps([self.as_json(), again], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def indexed(self) -> list[ColumnElement[bool]]:
        """Return the conditions that an index serves together with the order by id."""
        conditions: list[ColumnElement[bool]] = []
        if self.state is not None:
            known = [state for state in DeliveryState if state == self.state]
            # A known state is written as a literal, as in the partial indexes.
            conditions.append(is_among(known) if known else Delivery.state == self.state)
        if self.destination is not None and self.state == DeliveryState.SUCCEEDED:
            conditions.append(Delivery.destination == self.destination)
        if self.since is not None:
            conditions.append(Delivery.id >= first_id(self.since))
        if self.until is not None:
            conditions.append(Delivery.id < first_id(self.until))
        if self.ids is not None:
            conditions.append(Delivery.id.in_(self.ids))
        if self.event is not None:
            conditions.append(Delivery.event_id == self.event)
        return conditions

    def others(self) -> list[ColumnElement[bool]]:
        """Return the other conditions, which are checked row by row."""
        conditions: list[ColumnElement[bool]] = []
        if self.destination is not None and self.state != DeliveryState.SUCCEEDED:
            conditions.append(Delivery.destination == self.destination)
        if self.route is not None:
            conditions.append(Delivery.route == self.route)
        if self.action is not None:
            conditions.append(Delivery.action == self.action)
        if self.q is not None:
            conditions.append(Delivery.error.icontains(self.q, autoescape=True))
        of_event = [
            column == getattr(self, name)
            for name, column in _OF_THE_EVENT.items()
            if getattr(self, name) is not None
        ]
        if self.live is not None:
            of_event.append(StoredEvent.live.is_(self.live))
        if of_event:
            conditions.append(exists().where(StoredEvent.id == Delivery.event_id, *of_event))
        return conditions

    def apply(self, statement: Statement) -> Statement:
        """Return a statement over deliveries, restricted to this selection."""
        found: Statement = statement.where(*self.indexed(), *self.others())
        return found


def selection_of(values: Mapping[str, Any]) -> Selection:
    """Return the selection that texts describe; unknown names are ignored.

    Raises:
        NotReadable: a value is not valid for its filter.
    """
    given = {name: value for name, value in values.items() if value not in (None, "")}
    known: dict[str, Any] = {}
    for name in ("state", "destination", "route", "action", "type", "source", "q"):
        if name in given:
            known[name] = _text(name, given[name])
    for name in ("event", "contact"):
        if name in given:
            known[name] = _id(name, given[name])
    for name in ("since", "until"):
        if name in given:
            known[name] = _instant(name, given[name])
    if "live" in given:
        known["live"] = _flag(given["live"])
    if "ids" in given:
        known["ids"] = tuple(sorted({_id("ids", one) for one in given["ids"]}))
    return Selection(**known)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return rfc3339(value)
    if isinstance(value, UUID):
        return str(value)
    return [str(one) for one in value] if isinstance(value, tuple | list) else value


def _text(name: str, value: Any) -> str:
    text = str(value).strip()
    if len(text) > LONGEST or not text.isprintable():
        raise NotReadable(f"{name} is too long, or has characters that nothing here has")
    return text


def _id(name: str, value: Any) -> UUID:
    found = value if isinstance(value, UUID) else parse_id(str(value))
    if found is None:
        raise NotReadable(f"{name} is not an id")
    return found


def _instant(name: str, value: Any) -> datetime:
    try:
        at = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise NotReadable(f"{name} is not a time") from None


def _flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    text = str(value).lower()
    if text not in (*_YES, *_NO):
        raise NotReadable("live is yes or no")
    return text in _YES
