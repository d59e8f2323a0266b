"""`/a/<token>`: acknowledgement page, linked from the notification of a lead.

A GET changes nothing, since link previews request the page too; its button (POST) takes the lead.
"""

from datetime import UTC, datetime

from flask import Blueprint, Response, current_app
from markupsafe import Markup
from werkzeug.exceptions import HTTPException, NotFound

from hub.core.hub import Hub
from hub.core.leads.acknowledgement import Link, TakenLead, acknowledge, link_of, taken_lead
from hub.core.leads.owner_context import calendar_of
from hub.core.leads.people import Person
from hub.web.database import db, writing

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "X-Robots-Tag": "noindex",
}
_PAGE = Markup(
    '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
    '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
    '<meta name="color-scheme" content="light dark">\n<title>{title}</title>\n'
    "<style>body{{font:1.125rem/1.5 system-ui,sans-serif;margin:2rem auto;max-width:32rem;"
    "padding:0 1rem;overflow-wrap:anywhere}}button{{font:inherit;padding:.75rem 1.5rem}}</style>\n"
    "</head>\n<body>\n<main>\n<h1>{title}</h1>\n{text}</main>\n</body>\n</html>\n"
)
_BUTTON = Markup('<form method="post"><button type="submit">I take this lead</button></form>\n')
_LONGEST_NAME = 200

acknowledging = Blueprint("acknowledging", __name__)


@acknowledging.get("/a/<token>", provide_automatic_options=False)
def show_lead(token: str) -> Response:
    hub: Hub = current_app.extensions["hub"]
    connection = db.session.connection()
    link = link_of(connection, token, now=datetime.now(UTC))
    if link is None:
        raise NotFound
    return _page(_title(link), _text(hub, link, taken_lead(connection, link.event_id)))


@acknowledging.post("/a/<token>", provide_automatic_options=False)
def take_lead(token: str) -> Response:
    hub: Hub = current_app.extensions["hub"]
    now = datetime.now(UTC)
    with writing() as connection:
        link = link_of(connection, token, now=now)
        if link is None:
            raise NotFound
        person = _person(hub, link)
        actor = f"person:{person.slug}"
        acknowledge(connection, link.event_id, person, how="link", actor=actor, now=now)
    return Response(status=303, headers={**_HEADERS, "Location": f"/a/{token}"})


@acknowledging.errorhandler(HTTPException)
def on_http(error: HTTPException) -> Response:
    if error.code == 404:
        said = Markup("<p>{}</p>\n").format("It is mistyped, or too old.")
        return _page("There is no such link", said, status=404)
    response = Response(status=error.code or 400, headers=_HEADERS)
    if allow := dict(error.get_headers()).get("Allow"):
        response.headers["Allow"] = allow
    return response


def _person(hub: Hub, link: Link) -> Person:
    """Return the person of a link; a person removed from hub.yaml is named by their slug."""
    return hub.configuration.people.get(link.person) or Person(link.person, link.person)


def _title(link: Link) -> str:
    return f"Lead: {link.lead[:_LONGEST_NAME]}" if link.lead.strip() else "A lead"


def _text(hub: Hub, link: Link, found: TakenLead | None) -> Markup:
    if found is None:
        asked = f"{_person(hub, link).name}, do you look after it? Nobody has taken it yet."
        return Markup("<p>{}</p>\n").format(asked) + _BUTTON
    local = calendar_of(hub.configuration.site).local(found.at)
    who = "You" if found.person == link.person else found.name or "Somebody"
    said = f"{who} took this lead on {local:%Y-%m-%d} at {local:%H:%M}."
    return Markup("<p>{}</p>\n").format(said)


def _page(title: str, text: Markup, *, status: int = 200) -> Response:
    body = _PAGE.format(title=title, text=text)
    return Response(body, status, headers=_HEADERS, content_type="text/html; charset=utf-8")
