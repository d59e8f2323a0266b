"""`GET /forms/<source>`: the form as the hub shows it, and what goes with it.

Plain HTML that works without its script; beside it the script that other pages use too, the
stylesheet, and tokens: one for each view of a form.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from secrets import token_urlsafe
from typing import Any

from flask import Response, current_app, render_template, request
from werkzeug.exceptions import Forbidden

from adapters import FormField, FormInbound
from hub.core.configuration import Source
from hub.web import pages
from hub.web.form_source import form_of, forms, is_admitted
from hub.web.widgets import WIDGETS, policy

MARK = "_hosted"
"""The hidden field by which the hub knows its own form again."""
KEPT = ("_token", "_page", "_referrer", "_next", "utm_source", "utm_medium", "utm_campaign",
        "utm_term", "utm_content")  # fmt: skip
"""The hidden fields that stay what they were while somebody mends what was wrong."""
MOST_KEPT = 2048
NONCE_BYTES = 16
SCRIPT_KEPT_S = 600
MOST_OPEN_S = 60

_SECONDS = re.compile(r"[0-9]{1,9}", re.ASCII)
_STATIC = Path(__file__).parent / "static" / "forms"
_INPUTS = {"phone": "tel", "email": "email", "number": "number", "date": "date", "file": "file"}
_COMPLETED = {"name": "name", "company": "organization", "city": "address-level2",
              "postcode": "postal-code", "zip": "postal-code"}  # fmt: skip
_COMPLETED_TYPES = {"email": "email", "phone": "tel"}


@forms.get("/forms/<source_slug>", provide_automatic_options=False)
def show(source_slug: str) -> Response:
    source, form = form_of(source_slug)
    given = {name: [value[:MOST_KEPT]] for name, value in request.args.items()}
    hidden = {field.name for field in form.form_fields if field.type == "hidden"}
    typed = {name: given[name] for name in (*hidden, "_next") if name in given}
    typed["_page"] = [_address()]
    if request.referrer:
        typed["_referrer"] = [request.referrer[:MOST_KEPT]]
    return _drawn(form, source, typed, {}, 200)


def again(
    form: FormInbound,
    source: Source,
    typed: Mapping[str, Sequence[str]],
    faults: Mapping[str, str],
) -> Response:
    """Return the form with what was typed, and each fault beside its field."""
    return _drawn(form, source, typed, faults, 422)


@forms.get("/forms/<source_slug>/token", provide_automatic_options=False)
def token(source_slug: str) -> Response:
    _, form = form_of(source_slug)
    if not is_admitted(form):
        raise Forbidden
    return pages.found({"token": _token(form, open_s=_open_s(request.args.get("open_s", "")))})


@forms.get("/forms/<source_slug>.js", provide_automatic_options=False)
def script(source_slug: str) -> Response:
    form_of(source_slug)
    return _file("form.js", "text/javascript; charset=utf-8")


@forms.get("/forms/<source_slug>.css", provide_automatic_options=False)
def style(source_slug: str) -> Response:
    form_of(source_slug)
    return _file("form.css", "text/css; charset=utf-8")


def _file(name: str, content_type: str) -> Response:
    response = Response((_STATIC / name).read_bytes(), content_type=content_type)
    response.headers["Cache-Control"] = f"public, max-age={SCRIPT_KEPT_S}"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    response.add_etag()
    response.make_conditional(request)
    return response


def _drawn(
    form: FormInbound,
    source: Source,
    typed: Mapping[str, Sequence[str]],
    faults: Mapping[str, str],
    status: int,
) -> Response:
    captcha = source.captcha
    widget = WIDGETS[captcha.kind] if captcha else None
    text = render_template(
        "forms/form.html",
        form=form,
        address=f"/forms/{source.slug}",
        captcha=captcha,
        widget=widget,
        fields=[_drawn_field(field, typed, faults) for field in form.form_fields],
        hidden=_hidden(form, typed),
        faults=[(name, form.labels.get(name, name), fault) for name, fault in faults.items()],
    )
    headers = pages.HEADERS | {
        "Content-Security-Policy": policy(widget, form_action=form.redirect_origins),
        # Not `no-referrer`: a browser would send `Origin: null` then, which no form may have.
        "Referrer-Policy": "same-origin",
    }
    return Response(text, status, headers=headers, content_type="text/html; charset=utf-8")


def _hidden(form: FormInbound, typed: Mapping[str, Sequence[str]]) -> dict[str, str]:
    kept = {name: typed[name][0] for name in KEPT if typed.get(name)}
    return {MARK: "1", "_token": _token(form)} | kept


def _drawn_field(
    field: FormField, typed: Mapping[str, Sequence[str]], faults: Mapping[str, str]
) -> dict[str, Any]:
    """Return what the template needs of a field beside its declaration."""
    values = typed.get(field.name) or ([field.value] if field.value else [])
    about = [
        f"{field.name}-{part}"
        for part, is_there in (("help", field.help), ("fault", field.name in faults))
        if is_there
    ]
    return {
        "declared": field,
        "input": _INPUTS.get(field.type, "text"),
        "values": values,
        "value": values[0] if values else "",
        "fault": faults.get(field.name),
        "described_by": " ".join(about),
        "completed": _COMPLETED_TYPES.get(field.type) or _COMPLETED.get(field.name.lower()),
        "is_sized": isinstance(field.most, int) and field.type not in ("number", "file"),
    }


def _token(form: FormInbound, *, open_s: int = 0) -> str:
    """Return a token of a form that has been open for so long: a script may ask late for it."""
    opened_at = datetime.now(UTC) - timedelta(seconds=open_s)
    return form.issue_token(opened_at, token_urlsafe(NONCE_BYTES))


def _open_s(said: str) -> int:
    """Return what a page says, at most as long as `min_seconds` may be: more proves no more."""
    return min(int(said), MOST_OPEN_S) if _SECONDS.fullmatch(said) else 0


def _address() -> str:
    """Return this page's address as the public knows it."""
    public_url = current_app.extensions["hub"].public_url
    url = request.url
    return (f"{public_url}{request.full_path.rstrip('?')}" if public_url else url)[:MOST_KEPT]
