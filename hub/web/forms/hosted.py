"""Hosted form: `GET /forms/<source>`, with its script, stylesheet, tokens and captcha widget.

The form is plain HTML that works without its script, which other pages use too. Each view of a form
gets its own token. The Content-Security-Policy allows what the captcha's widget loads:

https://developers.cloudflare.com/turnstile/reference/content-security-policy/ ·
https://docs.hcaptcha.com/#content-security-policy-settings ·
https://developers.google.com/recaptcha/docs/faq
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from secrets import token_urlsafe
from typing import Any

from flask import Response, current_app, render_template, request
from werkzeug.exceptions import Forbidden

from adapters import FormField, FormInbound
from hub.core.configuration import Source
from hub.web.forms import responses
from hub.web.forms.responses import form_of, forms, is_admitted

_TURNSTILE = ("https://challenges.cloudflare.com",)
_HCAPTCHA = ("https://hcaptcha.com", "https://*.hcaptcha.com")
_RECAPTCHA = ("https://www.google.com/recaptcha/", "https://www.gstatic.com/recaptcha/")
# Hidden field that marks a submission of the hosted form.
MARK = "_hosted"
# Hidden fields whose values are kept while a visitor corrects faults.
KEPT = ("_token", "_page", "_referrer", "_next", "utm_source", "utm_medium", "utm_campaign",
        "utm_term", "utm_content")  # fmt: skip
MOST_KEPT = 2048
NONCE_BYTES = 16
SCRIPT_KEPT_S = 600
MOST_OPEN_S = 60
_SECONDS = re.compile(r"[0-9]{1,9}", re.ASCII)
_STATIC = Path(__file__).parent / "static"
_INPUTS = {"phone": "tel", "email": "email", "number": "number", "date": "date", "file": "file"}
_COMPLETED = {"name": "name", "company": "organization", "city": "address-level2",
              "postcode": "postal-code", "zip": "postal-code"}  # fmt: skip
_COMPLETED_TYPES = {"email": "email", "phone": "tel"}


@dataclass(frozen=True, slots=True)
class Widget:
    """Widget of a captcha provider: its script, the CSS class of its element, and its origins."""

    script: str
    marked: str
    # Origins by directive of the Content-Security-Policy.
    sources: Mapping[str, Sequence[str]]


WIDGETS: Mapping[str, Widget] = {
    "turnstile": Widget(
        "https://challenges.cloudflare.com/turnstile/v0/api.js",
        "cf-turnstile",
        {"script-src": _TURNSTILE, "frame-src": _TURNSTILE},
    ),
    "hcaptcha": Widget(
        "https://js.hcaptcha.com/1/api.js",
        "h-captcha",
        dict.fromkeys(("script-src", "frame-src", "style-src", "connect-src"), _HCAPTCHA),
    ),
    "recaptcha": Widget(
        "https://www.google.com/recaptcha/api.js",
        "g-recaptcha",
        {"script-src": _RECAPTCHA, "frame-src": _RECAPTCHA},
    ),
}


def policy(widget: Widget | None, *, form_action: Sequence[str]) -> str:
    """Return the Content-Security-Policy of a page with a form.

    `form_action`: origins that the form may post to; browsers apply it to redirects too.
    """
    loads = widget.sources if widget else {}
    directives = {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "connect-src": ["'self'"],
        "frame-src": [],
        "form-action": ["'self'", *form_action],
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
    }
    allowed = {name: [*own, *loads.get(name, ())] for name, own in directives.items()}
    return "; ".join(" ".join((name, *sources)) for name, sources in allowed.items() if sources)


@forms.get("/forms/<source_slug>", provide_automatic_options=False)
def show_form(source_slug: str) -> Response:
    source, form = form_of(source_slug)
    given = {name: [value[:MOST_KEPT]] for name, value in request.args.items()}
    hidden = {field.name for field in form.form_fields if field.type == "hidden"}
    typed = {name: given[name] for name in (*hidden, "_next") if name in given}
    typed["_page"] = [_address()]
    if request.referrer:
        typed["_referrer"] = [request.referrer[:MOST_KEPT]]
    return _drawn(form, source, typed, {}, 200)


def show_form_again(
    form: FormInbound,
    source: Source,
    typed: Mapping[str, Sequence[str]],
    faults: Mapping[str, str],
) -> Response:
    """Return the form with the typed values and a fault beside each wrong field (422)."""
    return _drawn(form, source, typed, faults, 422)


@forms.get("/forms/<source_slug>/token", provide_automatic_options=False)
def issue_form_token(source_slug: str) -> Response:
    _, form = form_of(source_slug)
    if not is_admitted(form):
        raise Forbidden
    return responses.found({"token": _token(form, open_s=_open_s(request.args.get("open_s", "")))})


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
    headers = responses.HEADERS | {
        "Content-Security-Policy": policy(widget, form_action=form.redirect_origins),
        # `no-referrer` would make browsers send `Origin: null`, which no form admits.
        "Referrer-Policy": "same-origin",
    }
    return Response(text, status, headers=headers, content_type="text/html; charset=utf-8")


def _hidden(form: FormInbound, typed: Mapping[str, Sequence[str]]) -> dict[str, str]:
    kept = {name: typed[name][0] for name in KEPT if typed.get(name)}
    return {MARK: "1", "_token": _token(form)} | kept


def _drawn_field(
    field: FormField, typed: Mapping[str, Sequence[str]], faults: Mapping[str, str]
) -> dict[str, Any]:
    """Return the template context of a field: its declaration, values, fault and attributes."""
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
    """Return a token of a form opened `open_s` seconds ago: a script may request its token late."""
    opened_at = datetime.now(UTC) - timedelta(seconds=open_s)
    return form.issue_token(opened_at, token_urlsafe(NONCE_BYTES))


def _open_s(said: str) -> int:
    """Return the seconds that a page claims to have been open, 0 if they cannot be parsed.

    They are capped at the largest value of `min_seconds`: more would prove nothing more.
    """
    return min(int(said), MOST_OPEN_S) if _SECONDS.fullmatch(said) else 0


def _address() -> str:
    """Return the page's URL, under the public URL if it is set, cut to `MOST_KEPT`."""
    public_url = current_app.extensions["hub"].public_url
    url = request.url
    return (f"{public_url}{request.full_path.rstrip('?')}" if public_url else url)[:MOST_KEPT]
