"""What every answer at a form's address needs: the form that is meant, and who may read it."""

from flask import Blueprint, Response, current_app, request
from werkzeug.exceptions import HTTPException, NotFound, ServiceUnavailable, TooManyRequests

from adapters import FormInbound
from hub.core.configuration import Source
from hub.core.hub import Hub
from hub.web import pages

forms = Blueprint("forms", __name__, template_folder="templates")


def form_of(slug: str) -> tuple[Source, FormInbound]:
    """Return an enabled source that takes forms.

    Raises:
        NotFound: there is none of that name.
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
    """Tell whether the page that asks may post the form; one that does not say may."""
    public_url = current_app.extensions["hub"].public_url
    return form.admits(request.headers.get("Origin"), public_url or request.host_url)


def wants_json() -> bool:
    """Tell whether a script asks, and not a browser for a page."""
    accepted = request.accept_mimetypes
    return (
        request.mimetype == "application/json"
        or accepted["application/json"] > accepted["text/html"]
    )


@forms.errorhandler(HTTPException)
def on_http(error: HTTPException) -> Response:
    answer = pages.problem(error.code or 400, as_json=wants_json())
    if isinstance(error, TooManyRequests | ServiceUnavailable) and error.retry_after:
        answer.headers["Retry-After"] = str(error.retry_after)
    return answer


@forms.after_request
def let_the_page_read_it(response: Response) -> Response:
    """Name the page's origin in every answer, errors too, if the form may be sent from there."""
    response.vary.update(("Accept", "Origin"))
    origin = request.headers.get("Origin")
    try:
        _, form = form_of((request.view_args or {})["source_slug"])
    except NotFound:
        return response
    if origin and is_admitted(form):
        response.headers["Access-Control-Allow-Origin"] = origin
    return response
