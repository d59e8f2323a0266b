"""Parameters of the dashboard's URLs and forms: ids, times, filters, selections.

Each is parsed strictly, and can be written into a link again.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from flask import request, url_for
from werkzeug.exceptions import BadRequest, Forbidden, NotFound

from hub.core.ids import parse_id
from hub.core.models import EventState
from hub.core.queries.event_rows import EventFilter
from hub.core.replays.selection import NotReadable, Selection, selection_of
from hub.core.search.search import read_query
from hub.web.dashboard.blueprint import dashboard
from hub.web.dashboard.masking import redacted_code
from hub.web.dashboard.permissions import current_user, hub, now

# Query parameters of the event filters.
NAMES = ("q", "source", "type", "state", "live", "since", "until", "contact")
LONGEST = 255
# The most deliveries that can be selected one by one.
MOST_CHOSEN = 200
EARLIEST, LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)

_AGO = re.compile(r"(\d{1,4})([mhd])", re.ASCII)
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
_LIVE = {"live": True, "test": False}


def filter_params() -> dict[str, str]:
    """Return the filter parameters of the URL as given, so that links can repeat them.

    Raises:
        BadRequest: a value is too long, or contains a NUL character.
    """
    said = {name: request.args.get(name, "").strip() for name in NAMES}
    for name, text in said.items():
        if "\x00" in text or (len(text) > LONGEST and name != "q"):
            raise BadRequest
    said["q"] = said["q"][:LONGEST]
    return {name: text for name, text in said.items() if text}


def read_filters(said: Mapping[str, str]) -> EventFilter:
    """Parse filter parameters; times without a zone are in the site's zone.

    Raises:
        BadRequest: a value is not valid.
        Forbidden: `type` is more than a type, and the user may not see personal data.
    """
    state, live = said.get("state"), said.get("live")
    if (state and state not in set(EventState)) or (live and live not in _LIVE):
        raise BadRequest
    country, personal = hub().configuration.site.country, current_user().sees_personal
    _refuse_probing(said.get("type"))
    return EventFilter(
        source=said.get("source"),
        type=said.get("type"),
        state=state,
        contact=id_param("contact", said),
        live=_LIVE[live] if live else None,
        since=instant_param(said["since"]) if "since" in said else None,
        until=instant_param(said["until"]) if "until" in said else None,
        query=read_query(said["q"], country=country, personal=personal) if "q" in said else None,
    )


def id_or_404(text: str) -> UUID:
    """Parse an id in a URL's path.

    Raises:
        NotFound: the text is not an id.
    """
    found = parse_id(text)
    if found is None:
        raise NotFound
    return found


def id_param(name: str, values: Mapping[str, str] | None = None) -> UUID | None:
    """Return the id in a query parameter, or in `values`; None if it is missing or empty.

    Raises:
        BadRequest: the value is not an id.
    """
    text = (request.args if values is None else values).get(name)
    if not text:
        return None
    found = parse_id(text)
    if found is None:
        raise BadRequest
    return found


def url_with(endpoint: str, said: Mapping[str, Any], **more: Any) -> str:
    """Return the URL of a list with these filters and further parameters."""
    return url_for(f".{endpoint}", **{**said, **more})


def selection_param(values: Any = None) -> Selection:
    """Parse the selection in the URL, or in a form. Times without a zone are in the site's zone.

    Raises:
        BadRequest: a value is not valid.
        Forbidden: `q` searches errors, which name people, or `type` is more than a type, and the
            user may not see personal data.
    """
    values = request.values if values is None else values
    told: dict[str, Any] = {name: value for name, value in values.items() if name != "ids"}
    for name in ("since", "until"):
        if told.get(name):
            told[name] = instant_param(told[name])
    ids = values.getlist("ids")
    if len(ids) > MOST_CHOSEN:
        raise BadRequest
    try:
        selection = selection_of(told | {"ids": ids or None})
    except NotReadable as error:
        raise BadRequest from error
    if selection.q is not None and not current_user().sees_personal:
        raise Forbidden
    _refuse_probing(selection.type)
    return selection


def arguments_of(selection: Selection) -> Mapping[str, Any]:
    """Return the URL parameters of a selection."""
    told = dict(selection.as_json())
    if "live" in told:
        told["live"] = "yes" if told["live"] else "no"
    return told


def instant_param(text: str) -> datetime:
    """Parse a time from a form or URL: ISO 8601, or an age such as `3h` or `2d`; return it in UTC.

    A time without a zone is in the site's zone.

    Raises:
        BadRequest: the text is not a time, or lies outside of 2000 to 2100.
    """
    if ago := _AGO.fullmatch(text):
        at = now() - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    else:
        at = _written(text)
    if not EARLIEST <= at < LATEST:
        raise BadRequest
    return at


def _refuse_probing(event_type: str | None) -> None:
    """Refuse a type by which a user without the right to see them could look for people.

    Matches would tell what stands under the mask of a type that a stranger chose.

    Raises:
        Forbidden: the type, without its wildcards, is no code.
    """
    words = (event_type or "").replace("*", "").strip(".")
    if words and redacted_code(words) != words:
        raise Forbidden


def _written(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
        zone = ZoneInfo(hub().configuration.site.timezone)
        return (at if at.tzinfo else at.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise BadRequest from error


@dashboard.app_template_filter("local")
def local(value: datetime | None) -> str:
    """Format a time for a `datetime-local` field, in the site's zone."""
    if value is None:
        return ""
    return value.astimezone(ZoneInfo(hub().configuration.site.timezone)).strftime("%Y-%m-%dT%H:%M")
