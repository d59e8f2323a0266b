"""How templates show things: times in the site's zone, states and amounts in words."""

import hashlib
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from flask import g, url_for
from markupsafe import Markup, escape

from adapters.contract.fields import rfc3339
from hub.core.auth import redaction
from hub.core.auth.roles import Principal
from hub.core.errors import ExpressionError
from hub.core.expressions.filters import money as as_money
from hub.web.dashboard.blueprint import dashboard
from hub.web.dashboard.permissions import hub, now

_UNITS = ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))
MASK = redaction.MASK


@dashboard.app_template_filter("moment")
def moment(value: datetime | str | None) -> Markup:
    """Return a `<time>`: how long ago or ahead, the exact time in the site's zone on hover."""
    if value is None:
        return Markup('<span class="quiet">never</span>')
    at = datetime.fromisoformat(value) if isinstance(value, str) else value
    # Escaped one by one: `Markup.format` reads its template anew for every row of a list.
    machine, full, ago = escape(rfc3339(at)), escape(exact(at)), escape(relative(at - now()))
    return Markup(f'<time datetime="{machine}" title="{full}">{ago}</time>')  # noqa: S704


@dashboard.app_template_filter("exact")
def exact(value: datetime | str) -> str:
    """Return a time in the site's zone: `Sat 21 Nov 2026, 08:15:02 EST`."""
    at = datetime.fromisoformat(value) if isinstance(value, str) else value
    zone = ZoneInfo(hub().configuration.site.timezone)
    return at.astimezone(zone).strftime("%a %-d %b %Y, %H:%M:%S %Z")


def relative(ahead: timedelta) -> str:
    """Return `3 minutes ago`, `in 2 hours`, `now`."""
    seconds = int(ahead.total_seconds())
    for size, unit in _UNITS:
        if count := abs(seconds) // size:
            words = f"{count} {unit}{'s' if count != 1 else ''}"
            return f"in {words}" if seconds > 0 else f"{words} ago"
    return "now"


@dashboard.app_template_filter("amount")
def amount(minor: Any, currency: Any) -> str:
    """Return money as people write it; empty without a currency."""
    if not isinstance(minor, int) or not currency:
        return ""
    try:
        return as_money(minor, currency)
    except ExpressionError:  # a currency that nobody knows
        return f"{minor} {currency}"


@dashboard.app_template_filter("short")
def short(value: UUID | str) -> str:
    """Return the end of an id: enough to tell rows of one page apart."""
    return str(value)[-8:]


@dashboard.app_template_filter("personal")
def personal(value: Any) -> Any:
    """Return a name, an address or a number for those who may see it, a mask for the others."""
    person: Principal | None = g.get("person")
    if value in (None, "") or (person is not None and person.sees_personal):
        return value
    return MASK


@dashboard.app_template_filter("redacted")
def redacted(value: Any) -> Any:
    """Return a tree or a text as it is for those who may see it, with masks for the others."""
    person: Principal | None = g.get("person")
    return value if person is not None and person.sees_personal else redaction.redact(value)


@dashboard.app_template_global("asset")
def asset(name: str) -> str:
    """Return the address of a file of ours; another one when its bytes change."""
    return url_for("dashboard.static", filename=name, v=_digits_of(name))


@cache
def _digits_of(name: str) -> str:
    path = Path(dashboard.static_folder or "") / name
    return hashlib.sha256(path.read_bytes()).hexdigest()[:10]
