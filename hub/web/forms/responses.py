"""Responses of the form endpoints: pages, JSON, CORS headers, and the look-up of the form.

A browser gets a page, a script gets problem details. A page has no script and loads only the form's
stylesheet; its sentences about a field never repeat the typed value.
"""

import json
from collections.abc import Mapping
from http import HTTPStatus

from flask import Blueprint, Response, current_app, request
from markupsafe import Markup
from werkzeug.exceptions import HTTPException, NotFound, ServiceUnavailable, TooManyRequests

from adapters import FormInbound
from hub.core.configuration import Source
from hub.core.hub import Hub

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
# Characters of an `Accept` that is parsed; browsers send a hundred.
MOST_ACCEPT = 4096
_PAGE = Markup(
    '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
    '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
    '<meta name="color-scheme" content="light dark">\n'
    "<title>{title}</title>\n{style}</head>\n<body>\n<main>\n<h1>{title}</h1>\n{text}</main>\n</body>\n"
    "</html>\n"
)
_SENTENCES = {
    400: "What was sent cannot be read. Nothing was kept.",
    403: "This form cannot be sent from that page. Nothing was kept.",
    404: "There is no form at this address.",
    408: "It did not arrive in time. Please send it again.",
    413: "It is more than this form takes. Nothing was kept.",
    415: "A form is sent urlencoded, as multipart/form-data or as JSON, without Content-Encoding.",
    429: "Too much came from your address. Please send it again in a few minutes.",
    503: "It could not be taken in just now. Nothing was kept; please send it again in a moment.",
    422: "Something is missing or not as expected. Nothing was kept yet.",
}
_BACK = "Go back with your browser's button: what you typed is still there."
_STYLE = Markup('<link rel="stylesheet" href="/forms/{}.css">\n')
_LINK = Markup('<p><a href="{}">Open the form anew</a></p>\n')
forms = Blueprint("forms", __name__, template_folder="templates")


def thanks() -> Response:
    """Return the thank-you page of a form that has no page of its own."""
    return _page(200, "Thank you", Markup("<p>{}</p>\n").format("Your message has arrived."))


def redirect(address: str) -> Response:
    """Return a redirect (303) to a page that the browser loads with GET (RFC 9110, 15.4.4)."""
    return Response(status=303, headers={**HEADERS, "Location": address})


def found(values: Mapping[str, str]) -> Response:
    """Return a JSON response (200) for a script."""
    return Response(json.dumps(values), 200, headers=HEADERS, content_type="application/json")


def problem(
    status: int,
    *,
    as_json: bool,
    faults: Mapping[str, str] | None = None,
    labels: Mapping[str, str] | None = None,
    back: str | None = None,
    sentence: str | None = None,
) -> Response:
    """Return an error response; `sentence` instead of the one that its status has.

    `faults` has a sentence for each wrong field.

    `labels` has the fields' labels; `back` is the URL of the page with the form.

    As JSON it is problem details (RFC 9457), with the faults under `errors`.
    """
    sentence = sentence or _SENTENCES.get(status, _SENTENCES[400])
    if as_json:
        details = {
            "type": "about:blank",
            "title": HTTPStatus(status).phrase,
            "status": status,
            "detail": sentence,
            **({"errors": dict(faults)} if faults else {}),
        }
        kind = "application/problem+json"
        return Response(json.dumps(details), status, headers=HEADERS, content_type=kind)
    text = Markup("<p>{}</p>\n").format(sentence)
    if faults:
        rows = ((labels or {}).get(name, name) for name in faults)
        items = (
            Markup("<li><strong>{}</strong>: {}</li>\n").format(label, fault)
            for label, fault in zip(rows, faults.values(), strict=True)
        )
        text += Markup("<ul>\n{}</ul>\n<p>{}</p>\n").format(Markup().join(items), _BACK)
    if back:
        text += _LINK.format(back)
    return _page(status, "It was not sent", text)


def _page(status: int, title: str, text: Markup) -> Response:
    slug = (request.view_args or {}).get("source_slug")
    style = _STYLE.format(slug) if slug and status != 404 else ""
    body = _PAGE.format(title=title, text=text, style=style)
    return Response(body, status, headers=HEADERS, content_type="text/html; charset=utf-8")


def form_of(slug: str) -> tuple[Source, FormInbound]:
    """Return an enabled source that takes forms, and its adapter.

    Raises:
        NotFound: there is no such source.
    """
    hub: Hub = current_app.extensions["hub"]
    source = hub.configuration.sources.get(slug)
    if source is None or not source.enabled:
        raise NotFound
    form = hub.inbound(slug)
    if not isinstance(form, FormInbound):
        raise NotFound
    return source, form


def is_admitted(form: FormInbound) -> bool:
    """Return whether the request's origin may post the form; a request without `Origin` may."""
    public_url = current_app.extensions["hub"].public_url
    return form.admits(request.headers.get("Origin"), public_url or request.host_url)


def media_type() -> str:
    """Return the media type of the request's body; nobody can make its parameters take time."""
    return request.headers.get("Content-Type", "").partition(";")[0].strip().lower()


def wants_json() -> bool:
    """Return whether a script sent the request, and not a browser that wants a page."""
    if media_type() == "application/json":
        return True
    if len(request.headers.get("Accept", "")) > MOST_ACCEPT:
        return False
    accepted = request.accept_mimetypes
    return bool(accepted["application/json"] > accepted["text/html"])


@forms.errorhandler(HTTPException)
def on_http(error: HTTPException) -> Response:
    answer = problem(error.code or 400, as_json=wants_json())
    if isinstance(error, TooManyRequests | ServiceUnavailable) and error.retry_after:
        answer.headers["Retry-After"] = str(error.retry_after)
    return answer


@forms.after_request
def add_cors_headers(response: Response) -> Response:
    """Add CORS headers to every response, errors too, if the page's origin may post the form."""
    response.vary.update(("Accept", "Origin"))
    origin = request.headers.get("Origin")
    try:
        _, form = form_of((request.view_args or {})["source_slug"])
    except NotFound:
        return response
    if origin and is_admitted(form):
        response.headers["Access-Control-Allow-Origin"] = origin
    return response
