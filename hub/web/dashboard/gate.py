"""Who may ask for what: one place before every view, on the server.

A view without a permission of its own answers nobody: `allowed` or `open_to_all` marks each one.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import urlsplit

from flask import Response, current_app, g, redirect, request, session, url_for
from flask_wtf.csrf import CSRFProtect
from werkzeug.exceptions import Forbidden, InternalServerError

from hub.core.access.roles import Permission, Person
from hub.core.access.sessions import find
from hub.core.hub import Hub
from hub.web.dashboard.blueprint import dashboard

TOKEN = "token"  # noqa: S105 - the name of the cookie's field
_PERMISSION = "hub_permission"
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})

csrf = CSRFProtect()

View = TypeVar("View", bound=Callable[..., Any])


def allowed(permission: Permission) -> Callable[[View], View]:
    """Mark a view as open to those whose role has a permission."""

    def mark(view: View) -> View:
        setattr(view, _PERMISSION, permission)
        return view

    return mark


def open_to_all(view: View) -> View:
    """Mark a view as open to people who are not signed in."""
    setattr(view, _PERMISSION, None)
    return view


def permission_of(view: Callable[..., Any]) -> Permission | None:
    """Return what a view asks for; None when it is open to all.

    Raises:
        LookupError: nobody said.
    """
    if not hasattr(view, _PERMISSION):
        raise LookupError(f"{view.__name__} is open to nobody: mark it with `allowed`")
    permission: Permission | None = getattr(view, _PERMISSION)
    return permission


def viewer() -> Person:
    """Return who is asking. Only in views that are not open to all."""
    person: Person = g.person
    return person


def hub() -> Hub:
    """Return the hub that this process serves."""
    found: Hub = current_app.extensions["hub"]
    return found


def now() -> datetime:
    """Return the time of this request, aware UTC."""
    moment: datetime = g.setdefault("now", datetime.now(UTC))
    return moment


@dashboard.before_request
def admit() -> Response | None:
    """Let in whoever may; send whoever is not signed in to the door."""
    endpoint = request.endpoint or ""
    if endpoint == "dashboard.static":
        return None
    g.person = _signed_in()
    if request.method not in _SAFE:
        csrf.protect()
    try:
        needed = permission_of(current_app.view_functions[endpoint])
    except LookupError as error:
        raise InternalServerError from error
    if needed is None:
        return None
    if g.person is None:
        return _to_the_door()
    if not g.person.may(needed):
        raise Forbidden
    return None


def own_path(target: str | None) -> str | None:
    """Return a path of the hub's own to go on to; None for anything that leads elsewhere."""
    if not target or not target.startswith("/") or "\\" in target or "\n" in target:
        return None
    split = urlsplit(target)
    leads_elsewhere = split.scheme or split.netloc or target.startswith("//")
    return None if leads_elsewhere else target


def _signed_in() -> Person | None:
    token = session.get(TOKEN)
    if not isinstance(token, str):
        return None
    with hub().store.read() as connection:
        return find(connection, token, now=now())


def _to_the_door() -> Response:
    door = url_for("dashboard.sign_in")
    if request.method in _SAFE and not request.headers.get("HX-Request"):
        door = url_for("dashboard.sign_in", next=request.full_path.rstrip("?"))
    if request.headers.get("HX-Request"):
        return Response(status=401, headers={"HX-Redirect": door})
    return redirect(door)  # type: ignore[return-value]
