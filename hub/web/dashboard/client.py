"""Browser of the request: its address, its session cookie, and links for it."""

import secrets

from flask import current_app, flash, g, request, session, url_for

from hub.core.auth import sessions
from hub.core.auth.sign_in import Browser
from hub.gateways.totp import SecretBox
from hub.web.dashboard.blueprint import dashboard
from hub.web.dashboard.permissions import TOKEN, hub, now, own_path
from hub.web.database import writing
from hub.web.visitors import visitor_of

# Field of the cookie: the token of the session that ended by signing out.
_ENDED = "ended"


def browser() -> Browser:
    """Return the browser's IP address, user agent and session token, as far as they are known."""
    hops: int = current_app.extensions["hub_proxy_hops"]
    address = visitor_of(request.environ, proxy_hops=hops)
    token = session.get(TOKEN) or session.get(_ENDED)
    return Browser(
        None if address is None else str(address),
        request.headers.get("User-Agent"),
        token if isinstance(token, str) else None,
    )


def vault() -> SecretBox:
    """Return the box that encrypts TOTP secrets with the app's secret key."""
    return SecretBox(str(current_app.secret_key))


def keep_session(token: str) -> None:
    """Store a new session's token in the cookie; end the old session, and clear its data."""
    if g.person is not None:
        with writing() as connection:
            sessions.end(connection, g.person.session_id, now=now())
    session.clear()
    session[TOKEN] = token
    session.permanent = True


def forget_session(words: str) -> None:
    """Clear the session cookie, and flash a message.

    The ended session's token stays, and opens nothing: the next sign-in here is not slowed down by
    strangers (`hub.core.auth.throttle`).
    """
    ended = session.get(TOKEN)
    session.clear()
    session[_ENDED] = ended
    session.permanent = True
    flash(words, "good")


def next_page() -> str:
    """Return the `next` parameter if it is a path of the hub, else the path of the home page."""
    wanted = own_path(request.values.get("next"))
    return wanted or url_for("dashboard.now_page")


@dashboard.app_template_global("form_mark")
def form_mark() -> str:
    """Return a random mark for a form whose answer shows a secret (`refuse_repeated_form`)."""
    return secrets.token_urlsafe(16)


def welcome_link(token: str) -> str:
    """Return the absolute URL of a welcome link, to be sent to a person."""
    origin = hub().public_url or request.host_url.rstrip("/")
    return origin + url_for("dashboard.welcome_page", token=token)
