"""The browser that asks: what is known of it, and what its cookie holds."""

from flask import current_app, flash, g, request, session, url_for

from hub.core.auth import sessions
from hub.core.auth.sign_in import Browser
from hub.gateways.totp import SecretBox
from hub.web.dashboard.permissions import TOKEN, hub, now, own_path
from hub.web.forms.spam_check import visitor_of


def browser() -> Browser:
    """Return where this request comes from; the address is None where no setting tells it."""
    hops: int = current_app.extensions["hub_proxy_hops"]
    address = visitor_of(request.environ, proxy_hops=hops)
    return Browser(str(address) if address else None, request.headers.get("User-Agent"))


def vault() -> SecretBox:
    """Return what encrypts the secrets of telephones."""
    return SecretBox(str(current_app.secret_key))


def keep_session(token: str) -> None:
    """Let the browser keep a new session's token, and nothing that it had before."""
    if g.person is not None:
        with hub().store.write() as connection:
            sessions.end(connection, g.person.session_id, now=now())
    session.clear()
    session[TOKEN] = token
    session.permanent = True


def forget_session(words: str) -> None:
    """Let the browser keep nothing but these words."""
    session.clear()
    flash(words, "good")


def next_page() -> str:
    """Return where somebody wanted to go: a page of ours, whatever the address says."""
    wanted = own_path(request.values.get("next"))
    return wanted or url_for("dashboard.now_page")


def welcome_link(token: str) -> str:
    """Return the whole address of a link, to be sent to somebody."""
    origin = hub().public_url or request.host_url.rstrip("/")
    return origin + url_for("dashboard.welcome_page", token=token)
