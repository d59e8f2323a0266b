"""Page rendering: templates with their common context, response headers, and error pages."""

import gzip
import logging
from dataclasses import fields
from datetime import datetime
from http import HTTPStatus
from typing import Any

from flask import Response, g, render_template, request
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from werkzeug.exceptions import HTTPException

from hub.core.auth.roles import Permission
from hub.core.errors import BodyGone, HubError, NotFound
from hub.core.ids import parse_id
from hub.core.retention.words import gone_words, span_words
from hub.gateways.password_hashing import RETRY_AFTER_S, HashingBusy
from hub.web.dashboard.blueprint import dashboard
from hub.web.dashboard.masking import redacted_sentence
from hub.web.dashboard.permissions import hub, now
from hub.web.database import db

_CROWD = (
    "More people sign in at this moment than the hub checks at once. Nothing was changed: wait "
    "some seconds, go back and try it once more."
)
LEAST_COMPRESSED_BYTES = 1024

log = logging.getLogger(__name__)

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; object-src 'none'; "
    "frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
# The path of these pages holds a secret: it is in the `Referer` of nothing, and so in no log of a
# proxy for the page's style sheet. The origin alone is there, which `CSRFProtect` asks for.
SECRET_IN_PATH = frozenset({"dashboard.welcome_page", "dashboard.welcome"})
_SENTENCES = {
    400: "The hub could not make sense of that request. Go back and try it once more.",
    403: "Your account may not do that. Somebody with the role it needs can, or can give it you.",
    404: "There is nothing at this address. What was here may have been removed.",
    405: "This address is not used in that way.",
    409: "Somebody else was quicker, or it changed meanwhile. Look at it again.",
    413: "That was more than the hub takes in one form.",
    429: "That was too often. Wait a minute and try again.",
    503: "The database does not answer right now. Nothing was changed; try again in a moment.",
}
# Ids in addresses of what retention may have deleted.
_DELETABLE = ("event_id", "delivery_id", "request_id")


def page(template: str, status: int = 200, **values: Any) -> Response:
    """Render a template of the dashboard.

    In the template `person` is the principal; None if no user is signed in. A lone surrogate, which
    JSON may contain and UTF-8 may not, is shown as its escape.
    """
    text = render_template(f"dashboard/{template}", **values)
    body = text.encode("utf-8", "backslashreplace")
    return Response(body, status, content_type="text/html; charset=utf-8")


def is_partial() -> bool:
    """Return whether a script (htmx) requests a part of the page, not the whole page."""
    return bool(request.headers.get("HX-Request")) and not request.headers.get("HX-Boosted")


@dashboard.context_processor
def for_all_pages() -> dict[str, Any]:
    """Return the context of every template."""
    person = g.get("person")
    return {
        "person": person,
        "may_operate": person is not None and person.may(Permission.OPERATE),
        "may_administer": person is not None and person.may(Permission.ADMINISTER),
        "has_proved": person is not None and person.has_proved(now()),
        "site": hub().configuration.site,
        "now": now(),
        "partial": is_partial(),
        "retention": _spans(),
        "is_answer_old": _is_answer_old,
    }


def _spans() -> dict[str, str]:
    """Return how long each kind is kept, as hub.yaml writes it."""
    kept = hub().configuration.retention
    return {field.name: span_words(getattr(kept, field.name)) for field in fields(kept)}


def _is_answer_old(at: datetime) -> bool:
    """Return whether retention deletes an answer of that time."""
    span = hub().configuration.retention.answers
    return span is not None and at < now() - span


@dashboard.errorhandler(HTTPException)
def on_http(error: HTTPException) -> Response:
    status = error.code or 500
    sentence = _SENTENCES.get(status, "The hub failed to show this. Nothing was changed.")
    if status == 404 and (gone := _gone()):
        sentence = f"{gone[:1].upper()}{gone[1:]}."
    title = HTTPStatus(status).phrase
    return page("error.html", status, title=title, sentence=sentence)


@dashboard.errorhandler(CSRFError)
def on_strange_form(error: CSRFError) -> Response:
    """Refuse a form that is too old, or from another session (403: RFC 9110, 15.5.4)."""
    sentence = (
        "This form was too old, or did not come from this browser. "
        "Go back, load the page again, and try it once more."
    )
    return page("error.html", 403, title="Nothing was changed", sentence=sentence)


@dashboard.errorhandler(HubError)
def on_refusal(error: HubError) -> Response:
    """Show a refusal of `hub.core` with its message, which names the remedy."""
    status = 404 if isinstance(error, NotFound | BodyGone) else 409
    title = "Not found" if status == 404 else "Not done"
    words = redacted_sentence(str(error)).rstrip(".")
    if status == 404 and (gone := _gone()):
        words += f": {gone}"
    return page("error.html", status, title=title, sentence=f"{words[:1].upper()}{words[1:]}.")


def _gone() -> str:
    """Return why there is nothing of the id in the address, if retention may be the reason."""
    named = (request.view_args or {}).items()
    ids = [parse_id(text) for name, text in named if name in _DELETABLE]
    if g.get("person") is None or not ids or ids[0] is None:
        return ""
    retention = hub().configuration.retention
    return gone_words(db.session.connection(), retention, ids[0], now=now())


@dashboard.errorhandler(HashingBusy)
def on_crowd(error: HashingBusy) -> Response:
    """Refuse what needs a password while too many are checked.

    429, not 503: a crowd at the sign-in must not make a load balancer take the hub for down.
    """
    answer = page("error.html", 429, title="One moment", sentence=_CROWD)
    answer.headers["Retry-After"] = str(RETRY_AFTER_S)
    return answer


@dashboard.errorhandler(SQLAlchemyError)
def on_database(error: SQLAlchemyError) -> Response:
    cause = type(error.orig).__name__ if isinstance(error, DBAPIError) else type(error).__name__
    log.error("database error during a request: %s", cause)
    return Response(
        f"{_SENTENCES[503]}\n", 503, {"Retry-After": "10"}, content_type="text/plain; charset=utf-8"
    )


@dashboard.after_request
def dress(response: Response) -> Response:
    """Add the headers of every response, and compress it if it is large enough."""
    if request.endpoint in SECRET_IN_PATH:
        response.headers["Referrer-Policy"] = "strict-origin"
    response.headers.extend(
        {name: value for name, value in HEADERS.items() if name not in response.headers}
    )
    if request.endpoint == "dashboard.static" and response.status_code in (200, 304):
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
    else:
        response.headers.setdefault("Cache-Control", "no-store")
    return _compressed(response)


def _compressed(response: Response) -> Response:
    kind = response.mimetype or ""
    if not (kind.startswith("text/") or kind in ("application/javascript", "image/svg+xml")):
        return response
    if response.headers.get("Content-Disposition") or "Content-Encoding" in response.headers:
        return response
    response.vary.add("Accept-Encoding")
    if not request.accept_encodings["gzip"] or response.status_code == 304:
        return response
    response.direct_passthrough = False
    body = response.get_data()
    if len(body) >= LEAST_COMPRESSED_BYTES:
        response.set_data(gzip.compress(body, 6))
        response.headers["Content-Encoding"] = "gzip"
    return response
