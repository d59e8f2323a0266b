"""`/events/<id>`: one event with its request, deliveries, contact and copies; its downloads."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import orjson
from flask import Response
from sqlalchemy import Connection, Row
from werkzeug.exceptions import Forbidden, NotFound

from adapters import Event
from adapters.contract.fields import rfc3339
from hub.core.auth.audit_views import note_view
from hub.core.auth.roles import Permission
from hub.core.errors import Refused
from hub.core.events.rematch import missing
from hub.core.hub import Hub
from hub.core.leads.acknowledgement import mask_links
from hub.core.leads.assignment import assignments_of
from hub.core.models import DUE_STATES, DeliveryState
from hub.core.queries import event_detail as board
from hub.core.queries.event_detail import cut
from hub.core.queries.route_trace import RouteTrace, reasons, reasons_then
from hub.core.rehydrate import as_event, find_event, read_again, require_body
from hub.core.retention.words import kept_until
from hub.web.dashboard.blueprint import dashboard
from hub.web.dashboard.body_view import Shown, shown
from hub.web.dashboard.masking import (
    redacted,
    redacted_code,
    redacted_id,
    redacted_type,
    redactor,
)
from hub.web.dashboard.params import id_or_404
from hub.web.dashboard.permissions import current_user, hub, now, requires
from hub.web.dashboard.rendering import page
from hub.web.database import db

# A larger request is not parsed again for the page; its attachments can still be downloaded.
MOST_READ_AGAIN_BYTES = 2 * 1024 * 1024
UNDER_WAY = frozenset({*DUE_STATES, DeliveryState.RUNNING})


@dashboard.get("/events/<event_id>")
@requires(Permission.VIEW)
def event_page(event_id: str) -> Response:
    wanted = id_or_404(event_id)
    connection = db.session.connection()
    values = _gather(connection, hub(), wanted)
    note_view(connection, current_user(), f"event {wanted}", now())
    return page("event.html", **values)


@dashboard.get("/events/<event_id>/attachments/<int:number>")
@requires(Permission.VIEW)
def event_attachment(event_id: str, number: int) -> Response:
    """Answer with one attachment of an event, as a download that the browser does not open."""
    _must_see_personal()
    wanted = id_or_404(event_id)
    connection = db.session.connection()
    row = find_event(connection, wanted)
    again = read_again(connection, hub(), row)
    if again is None:
        require_body(connection, row.request_id)
    files = again.attachments if again else ()
    if not 1 <= number <= len(files):
        raise NotFound
    note_view(connection, current_user(), f"event {wanted}", now())
    return download(files[number - 1].content, files[number - 1].name, "application/octet-stream")


@dashboard.get("/events/<event_id>/download")
@requires(Permission.VIEW)
def event_download(event_id: str) -> Response:
    """Answer with an event as JSON, redacted for users who may not see personal data."""
    wanted = id_or_404(event_id)
    connection = db.session.connection()
    row = find_event(connection, wanted)
    note_view(connection, current_user(), f"event {wanted}", now())
    tree = {
        "id": str(row.id),
        "occurred_at": rfc3339(row.occurred_at),
        "received_at": rfc3339(row.received_at),
        "type": redacted_type(row.type),
        "native_type": redacted_code(row.native_type),
        "source": row.source,
        "external_id": redacted_id(row.external_id),
        "state": row.state,
        "live": row.live,
        "data": redacted(row.data),
    }
    body = orjson.dumps(tree, option=orjson.OPT_INDENT_2)
    return download(body, f"event-{row.id}.json", "application/json")


@dashboard.app_template_filter("cut_tree")
def cut_tree(tree: Any) -> Any:
    """Cut a tree to a size that a page can show."""
    return cut(tree)


@dashboard.app_template_filter("without_links")
def without_links(tree: Any) -> Any:
    """Mask the acknowledgement links in what was sent: they are good for whoever opens them."""
    return mask_links(tree)


def download(body: bytes, name: str, kind: str) -> Response:
    """Return a response that a browser saves as a file and never shows."""
    answer = Response(body, content_type=kind)
    answer.headers.set("Content-Disposition", "attachment", filename=_file_name(name))
    answer.headers["X-Content-Type-Options"] = "nosniff"
    return answer


def body_shown(connection: Connection, request: Row[Any] | None) -> Shown | None:
    """Return a request's body, redacted for the signed-in user; None if it was not kept."""
    body = board.body_of(connection, request.id) if request is not None else None
    if request is None or body is None:
        return None
    source = hub().configuration.sources.get(request.source)
    typed = source is None or (source.enabled and hub().inbound(request.source).takes_forms)
    masked_by = None if current_user().sees_personal else redactor()
    return shown(body, request.headers, redactor=masked_by, typed=typed)


def _gather(connection: Connection, served: Hub, wanted: UUID) -> dict[str, Any]:
    row = find_event(connection, wanted)
    request = board.request_of(connection, row.request_id)
    small = request is not None and request.size_bytes <= MOST_READ_AGAIN_BYTES
    again = read_again(connection, served, row) if small else None
    runs = board.runs_of(connection, wanted)
    event, data = as_event(row, again), redacted(row.data or {})
    return {
        "event": row,
        "says": _says(data),
        "data": data,
        "arrived": request,
        "body": body_shown(connection, request),
        "repeats": board.repeats_of(connection, row),
        "runs": runs,
        "by_route": _by_route(served, runs),
        "under_way": any(run.delivery.state in UNDER_WAY for run in runs),
        "contact": board.contact_of(connection, row),
        "cause_delivery": board.cause_of(connection, row.data or {}),
        "caused": board.caused_by(connection, runs),
        "copies": board.copies_of(connection, wanted),
        "owners": assignments_of(connection, wanted),
        "version": served.router.version,
        "today": reasons(served, event, event_id=wanted, row=row),
        "then": _then(connection, served, row, event),
        "kept": kept_until(served.configuration.retention, row.received_at),
        "missing": _missing(connection, served, row, event),
    }


def _says(data: Mapping[str, Any]) -> Any:
    """Return an event's data without `native`, and without an amount, which the page formats."""
    told = {"native"}
    if isinstance(data.get("amount"), int) and data.get("currency"):
        told |= {"amount", "currency"}
    return cut({name: value for name, value in data.items() if name not in told})


def _then(
    connection: Connection, served: Hub, row: Row[Any], event: Event
) -> list[RouteTrace] | None:
    """Return the route traces of the configuration version that matched the event.

    None if that is the current version, or if it was not kept.
    """
    if row.config_version == served.router.version:
        return None
    routes = board.routes_then(connection, row.config_version)
    if routes is None:
        return None
    return reasons_then(served, routes, event, event_id=row.id, row=row)


def _by_route(served: Hub, runs: list[board.DeliveryRun]) -> dict[str, Any]:
    """Return the deliveries by route name; a renamed route has both names."""
    found: dict[str, Any] = {}
    for run in runs:
        route = served.router.by_name(run.delivery.route)
        if route:
            found[route.name] = run.delivery
        found[run.delivery.route] = run.delivery
    return found


def _missing(connection: Connection, served: Hub, row: Row[Any], event: Event) -> list[str]:
    try:
        return [match.route.name for match in missing(connection, served, row, event)]
    except Refused:
        return []


def _must_see_personal() -> None:
    if not current_user().sees_personal:
        raise Forbidden


def _file_name(name: str) -> str:
    """Return a file name without separators or special characters, of 120 characters at most."""
    safe = "".join(c if c.isalnum() or c in "._- " else "_" for c in name).strip(". ")
    return safe[-120:] or "file"
