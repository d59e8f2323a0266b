"""`/events`: the list of events, with filters, search, live updates and CSV export."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from flask import Response, redirect, request
from werkzeug.exceptions import BadRequest, Forbidden

from adapters import EVENT_TYPES
from adapters.contract.fields import rfc3339
from hub.core.audit import record_action
from hub.core.auth.redaction import MASK
from hub.core.auth.roles import Permission
from hub.core.explain.event_summaries import sentence
from hub.core.ids import FIRST_ID
from hub.core.models import EventState
from hub.core.ports import Store
from hub.core.queries.event_rows import EventFilter, EventRow, newest_id, types_seen
from hub.core.queries.events import list_events, list_newer
from hub.web.dashboard.blueprint import dashboard
from hub.web.dashboard.csv_export import csv_line
from hub.web.dashboard.masking import redacted_type
from hub.web.dashboard.params import filter_params, id_param, read_filters, url_with
from hub.web.dashboard.permissions import current_user, hub, now, requires
from hub.web.dashboard.rendering import page
from hub.web.dashboard.template_filters import amount
from hub.web.database import db, writing

ROWS = 50
TAIL_ROWS = 50
MOST_EXPORTED = 10_000
EXPORTED_AT_ONCE = 500
COLUMNS = (
    "received_at", "what", "type", "source", "live", "state", "name", "email", "phone", "amount",
    "currency", "external_id", "id",
)  # fmt: skip


@dashboard.get("/events")
@requires(Permission.VIEW)
def events_page() -> Response:
    said, before = filter_params(), id_param("before")
    filters = read_filters(said)
    connection = db.session.connection()
    found = list_events(connection, filters, most=ROWS, before=before)
    types = types_seen(connection)
    goes_on = _goes_on(said, before)
    newest = newest_id(connection) if goes_on else None
    older = url_with("events_page", said, before=found.older) if found.older else None
    return page(
        "events.html",
        said=said,
        times=_times(filters),
        found=found,
        older=older,
        newest=url_with("events_page", said) if before else None,
        tail=_tail(said, newest or FIRST_ID) if goes_on else None,
        types=_choices(types),
        sources=sorted(hub().configuration.sources),
        states=[state.value for state in EventState],
    )


@dashboard.get("/events/newer")
@requires(Permission.VIEW)
def newer_events() -> Response:
    """Answer with the rows newer than `after`; with 204 if there are none."""
    said, after = filter_params(), id_param("after")
    if after is None or not _goes_on(said, None):
        raise BadRequest
    if not request.headers.get("HX-Request"):
        return redirect(url_with("events_page", said), 303)  # type: ignore[return-value]
    connection = db.session.connection()
    rows = list_newer(connection, read_filters(said), after=after, most=TAIL_ROWS)
    if not rows:
        return Response(status=204)
    return page("events_newer.html", rows=rows, tail=_tail(said, rows[0].id))


@dashboard.get("/events.csv")
@requires(Permission.VIEW)
def export_events() -> Response:
    if not current_user().sees_personal:
        raise Forbidden
    said = filter_params()
    filters = read_filters(said)
    with writing() as connection:
        detail = {name: MASK if name == "q" else text for name, text in said.items()}
        record_action(
            connection,
            actor=current_user().actor,
            action="export.events",
            subject="events",
            now=now(),
            detail=detail,
        )
    answer = Response(_sheet(hub().store, filters), mimetype="text/csv")
    answer.headers["Content-Disposition"] = 'attachment; filename="events.csv"'
    return answer


def _sheet(store: Store, filters: EventFilter) -> Iterator[str]:
    yield csv_line(COLUMNS)
    before, left = None, MOST_EXPORTED
    while left > 0:
        most = min(left, EXPORTED_AT_ONCE)
        with store.read() as connection:
            found = list_events(connection, filters, most=most, before=before)
        yield from (csv_line(_exported(row)) for row in found.rows)
        left -= len(found.rows)
        before = found.older
        if before is None:
            return


def _exported(row: EventRow) -> list[Any]:
    data = row.data
    currency = data.get("currency")
    major = amount(data.get("amount"), currency)
    what = sentence(row.type, row.native_type, data)
    return [
        rfc3339(row.received_at), what, row.type, row.source, row.live, row.state,
        data.get("name"), data.get("email"), data.get("phone"), major, currency,
        row.external_id, row.id,
    ]  # fmt: skip


def _times(filters: EventFilter) -> dict[str, str]:
    """Format the bounds for `datetime-local` fields, in the site's zone."""
    zone = ZoneInfo(hub().configuration.site.timezone)
    bounds = {"since": filters.since, "until": filters.until}
    return {name: f"{at.astimezone(zone):%Y-%m-%dT%H:%M}" for name, at in bounds.items() if at}


def _goes_on(said: dict[str, str], before: UUID | None) -> bool:
    """Return whether new events may belong on top of the list."""
    return before is None and "q" not in said and "until" not in said


def _tail(said: dict[str, str], after: UUID) -> str:
    return url_with("newer_events", said, after=after)


def _choices(types: list[str]) -> list[str]:
    """Return the choices of the type filter: families of the stored types, those types, the rest.

    200 at most.
    """
    known = [one for one in types if redacted_type(one) == one]
    families = sorted({f"{one.partition('.')[0]}.*" for one in known})
    return [*families, *known, *sorted(EVENT_TYPES - set(types))][:200]
