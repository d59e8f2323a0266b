"""Error responses: a table with one sentence per status code, and the handlers of the app."""

import logging

from flask import Flask, Response
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from werkzeug.exceptions import HTTPException, SecurityError

from adapters import Reply
from hub.gateways.logs import place_of

RETRY_AFTER_S = 10

log = logging.getLogger(__name__)

SENTENCES = {
    400: "This is not HTTP that the hub can read.",
    401: "The request could not be verified.",
    404: "There is nothing at this address.",
    405: "This address is not used in that way.",
    408: "The body did not come in time.",
    413: "The body is larger than this source takes.",
    415: "Bodies are taken as they are: send it without Content-Encoding.",
    431: "The headers, or the address, are too large.",
    500: "The hub failed to answer; nothing was accepted.",
    503: "It cannot be stored right now: send it again.",
}
NOT_ITS_NAME = (
    "The hub does not answer to the name that this was sent to (the Host header): "
    "HUB_PUBLIC_URL or HUB_TRUSTED_HOSTS has to say it."
)


def error_reply(status: int, sentence: str | None = None) -> Reply:
    """Return an error response: a sentence as plain text, so that no sender reads it as content."""
    text = f"{sentence or SENTENCES[status]}\n"
    return Reply(status, text.encode(), "text/plain; charset=utf-8")


def headers_of(reply: Reply) -> list[tuple[str, str]]:
    """Return the header fields of a response, without the defaults of the whole app."""
    fields = [] if reply.content_type is None else [("Content-Type", reply.content_type)]
    if reply.status == 503:
        fields.append(("Retry-After", str(RETRY_AFTER_S)))
    return [*fields, ("Content-Length", str(len(reply.body)))]


def response_of(reply: Reply) -> Response:
    """Return a response as Flask sends it."""
    response = Response(reply.body, reply.status)
    del response.headers["Content-Type"]  # it would be text/html without a content type
    response.headers.update(headers_of(reply))
    return response


def error_response(status: int, sentence: str | None = None) -> Response:
    """Return an error response as Flask sends it."""
    return response_of(error_reply(status, sentence))


def register(app: Flask) -> None:
    """Register error handlers for every exception that can leave a view."""

    @app.errorhandler(HTTPException)
    def on_http(error: HTTPException) -> Response:
        if isinstance(error, SecurityError):  # an untrusted Host
            return error_response(400, NOT_ITS_NAME)
        status = error.code or 500
        if status not in SENTENCES:
            status = 400 if 400 <= status < 500 else 500
        reply = error_response(status)
        if status == 405 and "Allow" in (headers := dict(error.get_headers())):
            reply.headers["Allow"] = headers["Allow"]
        return reply

    @app.errorhandler(Exception)
    def on_failure(error: Exception) -> Response:
        return response_of(unexpected_error(error))


def unexpected_error(error: Exception) -> Reply:
    """Return the response to an unexpected exception: 503 for a database error, 500 for a defect.

    The log gets the type of the exception and, for a defect, its place; not its message.
    """
    if isinstance(error, SQLAlchemyError):
        cause = type(error.orig).__name__ if isinstance(error, DBAPIError) else type(error).__name__
        log.error("database error during a request: %s", cause)
        return error_reply(503)
    log.error("a view failed with %s, at %s", type(error).__name__, place_of(error))
    return error_reply(500)
