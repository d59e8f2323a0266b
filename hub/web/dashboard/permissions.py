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
from werkzeug.wrappers import Response as BaseResponse

from hub.core.auth.roles import Permission, Principal
from hub.core.auth.sessions import find
from hub.core.hub import Hub
from hub.web.dashboard.blueprint import dashboard

TOKEN = "token"  # noqa: S105 - the name of the cookie's field
_PERMISSION, _PROOF, _EARLY = "hub_permission", "hub_proof", "hub_before_second_factor"
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
MOST_FORM_BYTES = 4 * 1024 * 1024

csrf = CSRFProtect()

View = TypeVar("View", bound=Callable[..., Any])


def requires(
    permission: Permission, *, proof: bool = False, before_second_factor: bool = False
) -> Callable[[View], View]:
    """Mark a view as open to those whose role has a permission.

    `proof`: only if they gave their password within the last 10 minutes; who did not is asked for
    it at `/prove` and brought back to the page that the form was on. `before_second_factor`: also
    open to those who still have to set up the second factor that `hub.yaml` requires.
    """

    def mark(view: View) -> View:
        setattr(view, _PERMISSION, permission)
        setattr(view, _PROOF, proof)
        setattr(view, _EARLY, before_second_factor)
        return view

    return mark


def public(view: View) -> View:
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


def current_user() -> Principal:
    """Return who is asking. Only in views that are not open to all."""
    person: Principal = g.person
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
def check_permission() -> BaseResponse | None:
    """Let in whoever may; send whoever is not signed in to the door."""
    endpoint = request.endpoint or ""
    if endpoint == "dashboard.static":
        return None
    g.person = _signed_in()
    if request.method not in _SAFE:
        _refuse_what_others_sent()
    view = current_app.view_functions[endpoint]
    try:
        needed = permission_of(view)
    except LookupError as error:
        raise InternalServerError from error
    if needed is None:
        return None
    if g.person is None:
        return _sent_to("dashboard.sign_in")
    if not g.person.may(needed):
        raise Forbidden
    if lacks_second_factor(g.person) and not getattr(view, _EARLY):
        return _sent_to("dashboard.second_factor_page")
    if getattr(view, _PROOF) and not g.person.has_proved(now()):
        return sent_to_prove()
    return None


def sent_to_prove() -> BaseResponse:
    """Ask for the password again, for what is dear only in some cases."""
    return _sent_to("dashboard.prove_page")


def own_path(target: str | None) -> str | None:
    """Return a path of the hub's own to go on to; None for anything that leads elsewhere.

    Browsers take `\\` for `/`, and leave tabs and line ends out before they look.
    """
    if not target or not target.startswith("/") or "\\" in target or not target.isprintable():
        return None
    split = urlsplit(target)
    leads_elsewhere = split.scheme or split.netloc or target.startswith("//")
    return None if leads_elsewhere else target


def lacks_second_factor(person: Principal) -> bool:
    """Return whether somebody has yet to set up what `hub.yaml` requires of everybody."""
    return hub().configuration.users.second_factor_required and not person.has_second_factor


def _signed_in() -> Principal | None:
    token = session.get(TOKEN)
    if not isinstance(token, str):
        return None
    rules = hub().configuration.users
    seen = not request.headers.get("HX-Request")
    with hub().store.read() as connection:
        return find(connection, token, now=now(), idle=rules.idle, longest=rules.longest, seen=seen)


def _refuse_what_others_sent() -> None:
    """Refuse a change whose form was not ours, or not on a page of ours."""
    request.max_content_length = MOST_FORM_BYTES
    csrf.protect()
    origin = request.headers.get("Origin")
    if origin is not None and urlsplit(origin).netloc not in _own_hosts():
        raise Forbidden


def _own_hosts() -> set[str]:
    public = urlsplit(hub().public_url or "").netloc
    return {request.host, public} - {""}


def _sent_to(endpoint: str) -> BaseResponse:
    """Send somebody to a page of the door, who comes back to where they are."""
    door = url_for(endpoint, next=_page_at_hand())
    if request.headers.get("HX-Request"):
        return Response(status=401, headers={"HX-Redirect": door})
    return redirect(door, 302 if request.method in _SAFE else 303)


def _page_at_hand() -> str | None:
    """Return the page that somebody looks at: this one, or the one whose form was sent."""
    from_script = bool(request.headers.get("HX-Request"))
    if request.method in _SAFE and not from_script:
        return own_path(request.full_path.rstrip("?"))
    shown = request.headers.get("HX-Current-URL") if from_script else request.referrer
    split = urlsplit(shown or "")
    if split.netloc not in _own_hosts():
        return None
    return own_path(f"{split.path}?{split.query}".rstrip("?"))
