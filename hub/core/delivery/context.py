"""Render contexts: the values that conditions and templates can use when a delivery is claimed.

Expensive values (the contact, the results of other deliveries, the provider's own object) are
fetched only for a route that names them.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

import orjson
from sqlalchemy import Connection, Row, select

from adapters import Event, Inbound
from adapters.contract.strict_json import storable
from hub.core.configuration import Route
from hub.core.contacts import Facts, fold_event, lock_contacts
from hub.core.errors import BodyGone, ExpressionError
from hub.core.event_kinds import is_feedback
from hub.core.expressions.templates import Condition, Scope
from hub.core.ids import parse_id
from hub.core.inbound.routing import FETCH, event_context
from hub.core.leads.owner_context import NO_ASSIGN, OwnerContext
from hub.core.models import Contact, Delivery, StoredEvent
from hub.core.rehydrate import events_again, require_body

_AS_KEPT = orjson.OPT_NON_STR_KEYS | orjson.OPT_UTC_Z


class RenderContexts:
    """Render contexts of the deliveries that one transaction claims."""

    EVENT_COLUMNS: ClassVar = (
        "type native_type source external_id occurred_at received_at live data request_id "
        "contact_id folded config_version"
    ).split()

    def __init__(
        self,
        connection: Connection,
        *,
        site: Scope,
        inbound: Callable[[str], Inbound],
        now: datetime,
        owners: OwnerContext | None = None,
    ) -> None:
        self._connection = connection
        self._owners = owners
        self._site = site
        self._inbound = inbound
        self._now = now
        self._read: dict[UUID, Sequence[Event]] = {}
        self._of_event: dict[tuple[UUID, bool], dict[str, Any]] = {}

    def parameters(self, route: Route, row: Row[Any]) -> dict[str, Any] | None:
        """Return the rendered parameters of a delivery; None if its condition does not hold.

        `row` has the delivery's `id` and `event_id`, and the event's columns as `event_<name>`.

        Raises:
            ExpressionError: the condition failed, or a parameter cannot be rendered.
        """
        if route.name.startswith(FETCH):
            return self._fetch(row)
        when = route.when if route.when and self._undecided(route.when, row) else None
        names = route.parameters.names | (when.names if when else frozenset())
        native = route.parameters.uses_native or (when is not None and "native" in when.text)
        context = self._context(route, row, names, native=native)
        if when and not when.holds(context):
            return None
        if self._owners:
            self._owners.record_notification(route, row)
        rendered = storable(route.parameters.render(context))[0]
        # The same values as the database will return: a later attempt must send the same bytes.
        parameters: dict[str, Any] = orjson.loads(orjson.dumps(rendered, option=_AS_KEPT))
        return parameters

    def cancelled(self, route: Route, row: Row[Any]) -> str | None:
        """Return the reason why a delivery is no longer wanted; None if it still is."""
        return self._owners.cancelled(route, row) if self._owners else None

    def _fetch(self, row: Row[Any]) -> dict[str, Any]:
        """Return the parameters of the account's action `fetch`, parsed from the request body."""
        event = self._again(row)
        if event is None or event.fetch is None:
            raise ExpressionError("its request was not kept, or no longer says what to fetch")
        return dict(event.fetch)

    def _undecided(self, when: Condition, row: Row[Any]) -> bool:
        """Return whether a condition is evaluated now: it needs more than the event, or a replay.

        All other conditions were evaluated when the event was matched.
        """
        return when.needs_more_than_event or row.key_n > 0

    def _context(
        self, route: Route, row: Row[Any], names: frozenset[str], *, native: bool
    ) -> dict[str, Any]:
        context = dict(self._event_alone(row, native=native))
        data = context["data"]
        if "owner" in names:
            if self._owners is None:
                raise ExpressionError(NO_ASSIGN)
            context["owner"] = self._owners.scope(route, row, context)
        if "contact" in names:
            context["contact"] = Scope("contact", self._contact(row))
        if "results" in names:
            context["results"] = Scope("results", self._results(row.event_id))
        if "cause" in names:
            context["cause"] = Scope("cause", self._cause(data.get("delivery_id")))
        return context

    def _event_alone(self, row: Row[Any], *, native: bool) -> dict[str, Any]:
        """Return what an event alone gives; it is made once for all its claimed deliveries."""
        key = (row.event_id, native)
        if (known := self._of_event.get(key)) is not None:
            return known
        data = dict(row.event_data or {})
        if native and "native" not in data and (found := self._native(row)) is not None:
            data["native"] = found
        event = event_context(
            _Event(row),
            event_id=row.event_id,
            source=row.event_source,
            received_at=row.event_received_at,
        )
        made = {"event": event, "data": Scope("data", data), "site": self._site}
        self._of_event[key] = made
        return made

    def _cause(self, delivery_id: object) -> dict[str, Any]:
        """Return the delivery that an event reports on, with the data of that delivery's event."""
        wanted = parse_id(str(delivery_id or ""))
        columns = (Delivery.id, Delivery.route, Delivery.destination, Delivery.action)
        row = self._connection.execute(
            select(*columns, StoredEvent.type, StoredEvent.data)
            .join(StoredEvent, StoredEvent.id == Delivery.event_id)
            .where(Delivery.id == wanted)
        ).one_or_none()
        if row is None:
            return {}
        return row._asdict() | {"id": str(row.id), "data": Scope("cause.data", row.data or {})}

    def _contact(self, row: Row[Any]) -> dict[str, Any]:
        contact_id = row.event_contact_id if row.event_folded else self._folded(row)
        if contact_id is None:
            return {}
        columns = (Contact.id, Contact.name, Contact.email, Contact.phone)
        found = self._connection.execute(select(*columns).where(Contact.id == contact_id)).one()
        known = {name: value for name, value in found._mapping.items() if value is not None}
        return known | {"id": str(contact_id)}

    def _folded(self, row: Row[Any]) -> UUID | None:
        """Return the contact of an event that was not yet folded when its row was read.

        Another transaction may have folded it since. A second fold would overwrite newer fields.
        """
        lock_contacts(self._connection)
        done = select(StoredEvent.contact_id).where(
            StoredEvent.id == row.event_id, StoredEvent.folded
        )
        if found := self._connection.execute(done).one_or_none():
            contact_id: UUID | None = found.contact_id
            return contact_id
        data = row.event_data or {}
        facts = Facts(row.event_id, row.event_source, row.event_type, data)
        # A status callback or acknowledgement is not applied here: that projection stays pending.
        is_all = not is_feedback(row.event_type, data)
        with self._connection.begin_nested():
            return fold_event(self._connection, facts, now=self._now, is_all=is_all)

    def _results(self, event_id: UUID) -> dict[str, Any]:
        columns = (Delivery.route, Delivery.state, Delivery.provider_ref)
        rows = self._connection.execute(select(*columns).where(Delivery.event_id == event_id))
        return {row.route: {"state": row.state, "provider_ref": row.provider_ref} for row in rows}

    def _native(self, row: Row[Any]) -> Any:
        """Return the provider's own object; None if the event has none.

        Raises:
            ExpressionError: its request's body is gone: a template would fill the gap.
        """
        if event := self._again(row):
            return event.data.get("native")
        try:
            require_body(self._connection, row.event_request_id)
        except BodyGone as error:
            raise ExpressionError(f"data.native is gone: {error}") from error
        return None

    def _again(self, row: Row[Any]) -> Event | None:
        """Return an event parsed again; a request is parsed once for all its claimed events."""
        request_id = row.event_request_id
        if request_id not in self._read:
            self._read[request_id] = events_again(self._connection, self._inbound, request_id)
        events = self._read[request_id]
        return next((one for one in events if one.external_id == row.event_external_id), None)


class _Event:
    """Event columns of a joined row, under their own names."""

    def __init__(self, row: Row[Any]) -> None:
        self._row = row

    def __getattr__(self, name: str) -> Any:
        return getattr(self._row, f"event_{name}")
