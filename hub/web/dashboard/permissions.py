"""Permission check of every view, in one place, before the view runs.

Each view is marked with `requires` or `public`. An unmarked view is refused for every user.
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
from hub.web.database import db

TOKEN = "token"  # noqa: S105 - the name of the cookie's field
_PERMISSION, _PROOF, _EARLY = "hub_permission", "hub_proof", "hub_before_second_factor"
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
MOST_FORM_BYTES = 4 * 1024 * 1024

csrf = CSRFProtect()

View = TypeVar("View", bound=Callable[..., Any])


def requires(
    permission: Permission, *, proof: bool = False, before_second_factor: bool = False
) -> Callable[[View], View]:
    """Mark a view as open to users whose role has a permission.

    `proof`: the password, and the code of a second factor, must have been given within the last 10
    minutes; other users are asked at `/prove`, and sent back to the page that the form was on.
    `before_second_factor`: also open to users who have yet to set up the second factor that
    `hub.yaml` requires.
    """

    def mark(view: View) -> View:
        setattr(view, _PERMISSION, permission)
        setattr(view, _PROOF, proof)
        setattr(view, _EARLY, before_second_factor)
        return view

    return mark


def public(view: View) -> View:
    """Mark a view as open to visitors who are not signed in."""
    setattr(view, _PERMISSION, None)
    return view


def permission_of(view: Callable[..., Any]) -> Permission | None:
    """Return the permission that a view requires; None if it is public.

    Raises:
        LookupError: the view is not marked.
    """
    if not hasattr(view, _PERMISSION):
        raise LookupError(f"{view.__name__} is open to nobody: mark it with `requires`")
    permission: Permission | None = getattr(view, _PERMISSION)
    return permission


def current_user() -> Principal:
    """Return the principal of the request. Call it only in views that are not public."""
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
    """Check session, CSRF token, permission, second factor and proof before each view.

    Visitors who are not signed in are redirected to the sign-in page.

    Raises:
        CSRFError: a form has no valid token.
        Forbidden: the role lacks the permission, or a form came from another site.
        InternalServerError: the view is not marked.
    """
    endpoint = request.endpoint or ""
    if endpoint == "dashboard.static":
        return None
    g.person = _signed_in()
    if request.method not in _SAFE:
        _refuse_cross_site()
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
    """Redirect to `/prove`, for views whose action needs the password only in some cases."""
    return _sent_to("dashboard.prove_page")


def own_path(target: str | None) -> str | None:
    """Return a redirect target if it is a path of the hub; None if it may lead to another host.

    Browsers treat `\\` as `/`, and remove tabs and line ends before they parse a URL.
    """
    if not target or not target.startswith("/") or "\\" in target or not target.isprintable():
        return None
    split = urlsplit(target)
    leads_elsewhere = split.scheme or split.netloc or target.startswith("//")
    return None if leads_elsewhere else target


def lacks_second_factor(person: Principal) -> bool:
    """Return whether `hub.yaml` requires a second factor that the user has yet to set up."""
    return hub().configuration.users.second_factor_required and not person.has_second_factor


def _signed_in() -> Principal | None:
    token = session.get(TOKEN)
    if not isinstance(token, str):
        return None
    rules = hub().configuration.users
    seen = not request.headers.get("HX-Request")
    connection = db.session.connection()
    return find(connection, token, now=now(), idle=rules.idle, longest=rules.longest, seen=seen)


def _refuse_cross_site() -> None:
    """Verify the CSRF token and the origin of a form.

    Raises:
        CSRFError: the token or, over TLS, the referrer is not valid.
        Forbidden: the form was on a page of another site.
    """
    request.max_content_length = MOST_FORM_BYTES
    csrf.protect()
    origin = request.headers.get("Origin")
    if origin is not None and urlsplit(origin).netloc not in _own_hosts():
        raise Forbidden


def _own_hosts() -> set[str]:
    public = urlsplit(hub().public_url or "").netloc
    return {request.host, public} - {""}


def _sent_to(endpoint: str) -> BaseResponse:
    """Redirect to a sign-in page, with the page to return to in `next`."""
    door = url_for(endpoint, next=_page_at_hand())
    if request.headers.get("HX-Request"):
        return Response(status=401, headers={"HX-Redirect": door})
    return redirect(door, 302 if request.method in _SAFE else 303)


def _page_at_hand() -> str | None:
    """Return the path of the page in the browser: the requested one, or the one with the form."""
    from_script = bool(request.headers.get("HX-Request"))
    if request.method in _SAFE and not from_script:
        return own_path(request.full_path.rstrip("?"))
    shown = request.headers.get("HX-Current-URL") if from_script else request.referrer
    split = urlsplit(shown or "")
    if split.netloc not in _own_hosts():
        return None
    return own_path(f"{split.path}?{split.query}".rstrip("?"))
