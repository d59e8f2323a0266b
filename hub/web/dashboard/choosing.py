"""Which deliveries a page's address means, and the address of a selection."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from flask import request
from werkzeug.exceptions import BadRequest, Forbidden, NotFound

from hub.core.ids import parse_id
from hub.core.replays.selection import NotReadable, Selection, selection_of
from hub.web.dashboard.blueprint import dashboard
from hub.web.dashboard.gate import hub, viewer

MOST_CHOSEN = 200
"""How many deliveries can be chosen one by one."""
EARLIEST, LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


def chosen(values: Any = None) -> Selection:
    """Return what the address (or a form) selects. Times without a zone are in the site's.

    Raises:
        BadRequest: a value cannot be one of its kind.
        Forbidden: errors are searched, which name people, by somebody who sees masks there.
    """
    values = request.values if values is None else values
    told: dict[str, Any] = {name: value for name, value in values.items() if name != "ids"}
    for name in ("since", "until"):
        if told.get(name):
            told[name] = instant_of(told[name])
    ids = values.getlist("ids")
    if len(ids) > MOST_CHOSEN:
        raise BadRequest
    try:
        selection = selection_of(told | {"ids": ids or None})
    except NotReadable as error:
        raise BadRequest from error
    if selection.q is not None and not viewer().sees_personal:
        raise Forbidden
    return selection


def arguments_of(selection: Selection) -> Mapping[str, Any]:
    """Return the arguments of an address that selects the same."""
    told = dict(selection.as_json())
    if "live" in told:
        told["live"] = "yes" if told["live"] else "no"
    return told


def before() -> UUID | None:
    """Return where the page begins.

    Raises:
        BadRequest: that is no id.
    """
    return _place("before")


def after() -> UUID | None:
    """Return after what the page begins.

    Raises:
        BadRequest: that is no id.
    """
    return _place("after")


def wanted(text: str) -> UUID:
    """Return the id in an address.

    Raises:
        NotFound: it is none.
    """
    found = parse_id(text)
    if found is None:
        raise NotFound
    return found


def instant_of(text: str) -> datetime:
    """Return a time that was typed or is in an address; without a zone it is in the site's.

    Raises:
        BadRequest: it is none, or of no time that the hub can have to do with.
    """
    try:
        at = datetime.fromisoformat(text)
        zone = ZoneInfo(hub().configuration.site.timezone)
        at = (at if at.tzinfo else at.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise BadRequest from error
    if not EARLIEST <= at < LATEST:
        raise BadRequest
    return at


@dashboard.app_template_filter("local")
def local(value: datetime | None) -> str:
    """Return a time as a field for dates and times has it, in the site's zone."""
    if value is None:
        return ""
    return value.astimezone(ZoneInfo(hub().configuration.site.timezone)).strftime("%Y-%m-%dT%H:%M")


def _place(name: str) -> UUID | None:
    text = request.args.get(name)
    if not text:
        return None
    found = parse_id(text)
    if found is None:
        raise BadRequest
    return found
