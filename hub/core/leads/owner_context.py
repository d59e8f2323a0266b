"""Template scope `owner`, and the notification of a lead's owner, at the claim of a delivery."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Row, select

from hub.core.configuration import Configuration, Route, Site
from hub.core.errors import ExpressionError
from hub.core.expressions.templates import Scope
from hub.core.ids import new_id
from hub.core.inbound.routing import ESCALATE
from hub.core.leads.acknowledgement import new_link, taken_lead
from hub.core.leads.assignment import AssignList, assign, assigned
from hub.core.leads.working_hours import Calendar
from hub.core.models import LeadNotification, insert_if_new

NO_ASSIGN = "no `assign` on this source or route: `owner` is nobody"
NO_ADDRESS = "the hub has no public address: set HUB_PUBLIC_URL"
IS_TAKEN = "cancelled: somebody took the lead"


class OwnerContext:
    """Owner look-up inside one transaction: reads the assignment of a lead, or decides it."""

    def __init__(
        self,
        connection: Connection,
        configuration: Configuration,
        *,
        public_url: str | None,
        now: datetime,
    ) -> None:
        self._connection = connection
        self._configuration = configuration
        self._public_url = public_url
        self._now = now

    def scope(self, route: Route, row: Row[Any], context: Mapping[str, Any]) -> Scope:
        """Return the scope `owner` of a delivery: the assigned person, or the next one to notify.

        Raises:
            ExpressionError: neither the route nor the source has an `assign`, or the notification
                of an escalation is not there any more.
        """
        if route.name.startswith(ESCALATE):
            notification = self._notification(row.id)
            if notification is None:
                raise ExpressionError("who was to be told is not known any more")
            return self._scope(row.event_id, notification.person, notification.person)
        name = self._assign_of(route, row.event_source)
        found = assigned(self._connection, row.event_id, name) if name else None
        if name and found is None and (rules := self._configuration.assign.get(name)):
            chosen_by = AssignList(
                name, rules, self._configuration.people, calendar_of(self._configuration.site)
            )
            found = assign(self._connection, row.event_id, chosen_by, context, now=self._now)
        if found is None:
            raise ExpressionError(NO_ASSIGN)
        return self._scope(row.event_id, found.person, found.name)

    def cancelled(self, route: Route, row: Row[Any]) -> str | None:
        """Return the reason to cancel an escalation's delivery; None if it is still needed."""
        if not route.name.startswith(ESCALATE):
            return None
        return IS_TAKEN if taken_lead(self._connection, row.event_id) else None

    def record_notification(self, route: Route, row: Row[Any]) -> None:
        """Insert the notification that a delivery sends to the owner, the start of escalation."""
        name = self._assign_of(route, row.event_source)
        if route.escalate_after_s is None or name is None or route.name.startswith(ESCALATE):
            return
        if found := assigned(self._connection, row.event_id, name):
            values = notification_values(
                row.event_id, row.route, 0, found.person, name, row.id, route.escalate_after_s
            )
            made = insert_if_new(self._connection, LeadNotification)
            values |= {"id": new_id(self._now), "created_at": self._now}
            self._connection.execute(made.values(values))

    def _assign_of(self, route: Route, source: str) -> str | None:
        known = self._configuration.sources.get(source)
        return route.assign or (known.assign if known else None)

    def _notification(self, delivery_id: UUID) -> Row[Any] | None:
        wanted = select(LeadNotification.person).where(LeadNotification.delivery_id == delivery_id)
        return self._connection.execute(wanted).one_or_none()

    def _scope(self, event_id: UUID, slug: str, name: str) -> Scope:
        person = self._configuration.people.get(slug)
        if person is None:
            gone = (
                f"`{slug}`, who has this lead, is not under `people` any more: put them back, or "
                "look after it by hand"
            )
            missing = dict.fromkeys(("email", "phone", "link"), gone)
            return Scope("owner", {"slug": slug, "name": name}, missing)
        told = {"slug": slug, "name": person.name, "email": person.email, "phone": person.phone}
        given = {key: value for key, value in told.items() if value is not None}
        missing = dict.fromkeys(told.keys() - given.keys(), f"`{slug}` has none under `people`")
        if self._public_url is None:
            return Scope("owner", given, missing | {"link": NO_ADDRESS})
        return _OwnerWithLink(given, missing, lambda: self._link(event_id, slug))

    def _link(self, event_id: UUID, person: str) -> str:
        return f"{self._public_url}{new_link(self._connection, event_id, person, now=self._now)}"


class _OwnerWithLink(Scope):
    """Scope `owner` that creates the acknowledgement link only when a template uses it."""

    def __init__(self, fields: Mapping[str, Any], missing: Mapping[str, str], link: Any) -> None:
        super().__init__("owner", fields, missing)
        self._make = link

    def __missing__(self, name: str) -> str:
        if name != "link":
            raise KeyError(name)
        made: str = self.setdefault("link", self._make())
        return made


def notification_values(
    event_id: UUID,
    route: str,
    n: int,
    person: str,
    assign_name: str,
    delivery_id: UUID,
    after_s: float,
) -> dict[str, Any]:
    """Return the columns that describe a notification; id and times are not among them."""
    return {
        "event_id": event_id,
        "route": route,
        "n": n,
        "person": person,
        "assign": assign_name,
        "delivery_id": delivery_id,
        "after_s": after_s,
    }


def calendar_of(site: Site) -> Calendar:
    """Return the calendar of a site: its time zone and its holidays."""
    return Calendar(ZoneInfo(site.timezone), site.holidays)
