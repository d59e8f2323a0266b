"""What the addresses of lists of events ask for: read strictly, said again in links."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from flask import request, url_for
from werkzeug.exceptions import BadRequest

from hub.core.board.filtering import Filters
from hub.core.board.search import read_query
from hub.core.ids import parse_id
from hub.core.models import EventState
from hub.web.dashboard.gate import hub, now, viewer

NAMES = ("q", "source", "type", "state", "live", "since", "until", "contact")
"""The filters, as addresses call them."""
LONGEST = 255

_AGO = re.compile(r"(\d{1,4})([mhd])", re.ASCII)
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
_LIVE = {"live": True, "test": False}


def asked() -> dict[str, str]:
    """Return the filters that an address names, as it has them: a link says them again.

    Raises:
        BadRequest: one is too long, or holds what no text does.
    """
    said = {name: request.args.get(name, "").strip() for name in NAMES}
    for name, text in said.items():
        if "\x00" in text or (len(text) > LONGEST and name != "q"):
            raise BadRequest
    said["q"] = said["q"][:LONGEST]
    return {name: text for name, text in said.items() if text}


def read_filters(said: Mapping[str, str]) -> Filters:
    """Return what these filters mean; times are of the site's zone unless they say another.

    Raises:
        BadRequest: one of them means nothing.
    """
    state, live = said.get("state"), said.get("live")
    if (state and state not in set(EventState)) or (live and live not in _LIVE):
        raise BadRequest
    country, personal = hub().configuration.site.country, viewer().sees_personal
    return Filters(
        source=said.get("source"),
        type=said.get("type"),
        state=state,
        contact=read_id(said["contact"]) if "contact" in said else None,
        live=_LIVE[live] if live else None,
        since=_moment(said["since"]) if "since" in said else None,
        until=_moment(said["until"]) if "until" in said else None,
        query=read_query(said["q"], country=country, personal=personal) if "q" in said else None,
    )


def read_id(text: str) -> UUID:
    """Return the id that an address names.

    Raises:
        BadRequest: it is none.
    """
    found = parse_id(text)
    if found is None:
        raise BadRequest
    return found


def asked_id(name: str) -> UUID | None:
    """Return the id under a name of the query string; None when it is not there.

    Raises:
        BadRequest: it is none.
    """
    text = request.args.get(name)
    return read_id(text) if text else None


def address(endpoint: str, said: Mapping[str, Any], **more: Any) -> str:
    """Return the address of a list with these filters."""
    return url_for(f".{endpoint}", **{**said, **more})


def _moment(text: str) -> datetime:
    if ago := _AGO.fullmatch(text):
        moment = now() - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    else:
        moment = _written(text)
    if not _EARLIEST <= moment < now() + timedelta(days=3660):
        raise BadRequest
    return moment


def _written(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=ZoneInfo(hub().configuration.site.timezone))
        return moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise BadRequest from error
