"""Template filters: times in the site's zone, amounts, short ids, asset URLs."""

import hashlib
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from flask import url_for
from markupsafe import Markup, escape

from adapters.contract.fields import rfc3339
from hub.core.errors import ExpressionError
from hub.core.expressions.filters import money as as_money
from hub.web.dashboard.blueprint import dashboard
from hub.web.dashboard.permissions import hub, now

_UNITS = ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))


@dashboard.app_template_filter("moment")
def moment(value: datetime | str | None) -> Markup:
    """Return a `<time>` element: the relative time, with the exact one in its title.

    The exact time is in the site's zone.
    """
    if value is None:
        return Markup('<span class="quiet">never</span>')
    at = datetime.fromisoformat(value) if isinstance(value, str) else value
    # Each value is escaped by itself: `Markup.format` would parse its template for every row.
    machine, full, ago = escape(rfc3339(at)), escape(exact(at)), escape(relative(at - now()))
    return Markup(f'<time datetime="{machine}" title="{full}">{ago}</time>')  # noqa: S704 - escaped above


@dashboard.app_template_filter("exact")
def exact(value: datetime | str) -> str:
    """Format a time in the site's zone: `Sat 21 Nov 2026, 08:15:02 EST`."""
    at = datetime.fromisoformat(value) if isinstance(value, str) else value
    zone = ZoneInfo(hub().configuration.site.timezone)
    return at.astimezone(zone).strftime("%a %-d %b %Y, %H:%M:%S %Z")


def relative(ahead: timedelta) -> str:
    """Format a relative time: `3 minutes ago`, `in 2 hours`, `now`."""
    seconds = int(ahead.total_seconds())
    for size, unit in _UNITS:
        if count := abs(seconds) // size:
            words = f"{count} {unit}{'s' if count != 1 else ''}"
            return f"in {words}" if seconds > 0 else f"{words} ago"
    return "now"


@dashboard.app_template_filter("amount")
def amount(minor: Any, currency: Any) -> str:
    """Format an amount of money, given in minor units; empty without a currency."""
    if not isinstance(minor, int) or not currency:
        return ""
    try:
        return as_money(minor, currency)
    except ExpressionError:  # an unknown currency
        return f"{minor} {currency}"


@dashboard.app_template_filter("short")
def short(value: UUID | str) -> str:
    """Return the last 8 characters of an id, enough to distinguish the rows of one page."""
    return str(value)[-8:]


@dashboard.app_template_global("asset")
def asset(name: str) -> str:
    """Return the URL of a static file, with a digest of its bytes to invalidate caches."""
    return url_for("dashboard.static", filename=name, v=_digits_of(name))


@cache
def _digits_of(name: str) -> str:
    path = Path(dashboard.static_folder or "") / name
    return hashlib.sha256(path.read_bytes()).hexdigest()[:10]
