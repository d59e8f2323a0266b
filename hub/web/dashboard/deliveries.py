"""`/deliveries`: deliveries by state and destination."""

from typing import Any

from flask import Response, redirect, request, url_for
from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Response as BaseResponse

from hub.core.auth.roles import Permission
from hub.core.explain.errors import Explanation, explain_error
from hub.core.models import DeliveryState
from hub.core.queries.deliveries import (
    MOST_COUNTED,
    WINDOW,
    counts,
    events_of,
    find_delivery,
    list_deliveries,
)
from hub.web.dashboard.blueprint import dashboard
from hub.web.dashboard.masking import sees_personal
from hub.web.dashboard.params import arguments_of, id_or_404, id_param, selection_param
from hub.web.dashboard.permissions import hub, requires
from hub.web.dashboard.rendering import page
from hub.web.database import db

PAGE = 50

TABS = (
    (None, "All"), *((state.value, state.value.capitalize()) for state in (
        DeliveryState.FAILED, DeliveryState.UNKNOWN, DeliveryState.RETRYING,
        DeliveryState.WAITING, DeliveryState.PENDING, DeliveryState.RUNNING,
        DeliveryState.SUCCEEDED, DeliveryState.SKIPPED,
    )),
)  # fmt: skip


@dashboard.get("/deliveries")
@requires(Permission.VIEW)
def deliveries_page() -> Response:
    selection, start = selection_param(request.args), id_param("before")
    connection = db.session.connection()
    found = list_deliveries(connection, selection, limit=PAGE, before=start)
    events = events_of(connection, [row.event_id for row in found.rows])
    counted = counts(connection)
    arguments = arguments_of(selection)
    older = (
        url_for("dashboard.deliveries_page", **arguments, before=found.older)
        if found.older
        else None
    )
    return page(
        "deliveries.html",
        found=found,
        events=events,
        selection=selection,
        arguments=arguments,
        tabs=_tabs(arguments, counted, selection.destination),
        older=older,
        newest=url_for("dashboard.deliveries_page", **arguments) if start else None,
        configuration=hub().configuration,
        window=WINDOW,
    )


@dashboard.get("/deliveries/<delivery_id>")
@requires(Permission.VIEW)
def delivery_page(delivery_id: str) -> BaseResponse:
    """Redirect to the delivery on the page of its event."""
    found_id = id_or_404(delivery_id)
    connection = db.session.connection()
    row = find_delivery(connection, found_id)
    if row is None:
        raise NotFound
    return redirect(f"/events/{row.event_id}#delivery-{found_id}")


@dashboard.app_template_global("cause")
def cause_of(
    error: str | None, destination: str, status: int | None = None, code: str | None = None
) -> Explanation:
    """Return the explanation of an error, in plain words, with a remedy.

    It quotes nobody for users who may not see personal data.
    """
    return explain_error(
        error, status=status, code=code, destination=destination, quoting=sees_personal()
    )


def _tabs(
    arguments: Any, counted: Any, destination: str | None
) -> list[tuple[str, str, str, bool]]:
    """Return the tabs: URL, name, count as text, and whether the tab is selected."""
    others = {name: value for name, value in arguments.items() if name != "state"}
    tabs = []
    for state, name in TABS:
        link = url_for("dashboard.deliveries_page", **others, state=state)
        by_destination = counted.get(state, {})
        count = by_destination.get(destination, 0) if destination else sum(by_destination.values())
        tabs.append((link, name, _counted(count), arguments.get("state") == state))
    return tabs


def _counted(count: int) -> str:
    if not count:
        return ""
    return f"{MOST_COUNTED:,}+" if count > MOST_COUNTED else f"{count:,}"
