"""A submission on its way in: turned away, held for a person, or taken in like any other."""

from collections.abc import Callable
from math import ceil
from typing import TypeVar

from flask import current_app, request
from sqlalchemy.exc import DBAPIError
from werkzeug.exceptions import TooManyRequests

from adapters import FormInbound, InboundRequest
from hub.core.configuration import Source
from hub.core.hub import Hub
from hub.core.inbound.ingest import Prepared
from hub.core.leads.held import hold, sent_by
from hub.core.leads.suspicion import Post, Sender, sender_of, turned_away, weigh
from hub.gateways.captcha import Captchas
from hub.web.tally import Tally
from hub.web.visitors import visitor_of

T = TypeVar("T")


def sift(
    source: Source, form: FormInbound, received: InboundRequest, prepared: Prepared
) -> Prepared:
    """Return what is to be stored of a submission: itself, or itself held.

    Raises:
        TooManyRequests: nothing of it may be stored.
    """
    hub: Hub = current_app.extensions["hub"]
    if prepared.batch is None:
        return prepared
    post = Post(
        source=source.slug,
        submission=prepared.events[0].external_id,
        signals=form.signals(received),
        sender=_sender(),
        at=received.received_at,
    )
    reasons = _weigh(hub, post)
    if not reasons and source.captcha:
        captchas: Captchas = current_app.extensions["hub_captchas"]
        doubt = captchas.doubt(source.captcha, post.signals.challenge)
        reasons = (doubt,) if doubt else ()
    if post.sender:
        prepared = sent_by(prepared, post.sender.digest)
    return hold(prepared, "; ".join(reasons)) if reasons else prepared


def _sender() -> Sender | None:
    hops: int = current_app.extensions["hub_proxy_hops"]
    address = visitor_of(request.environ, proxy_hops=hops)
    return sender_of(address) if address else None


def _weigh(hub: Hub, post: Post) -> tuple[str, ...]:
    """Count a post; return why it is to be held. A flood is turned away without a write."""
    limits = hub.configuration.form_limits
    sender = post.sender

    def is_beyond() -> bool:
        with hub.store.read() as connection:
            return sender is not None and turned_away(connection, sender, limits, post.at)

    def weighed() -> tuple[bool, tuple[str, ...]]:
        with hub.store.write() as connection:
            found = weigh(connection, post, limits)
            return found.refused, found.reasons

    if sender is not None and _once_more(is_beyond):
        _turn_away(post, limits.refuse.per_s)
    refused, reasons = _once_more(weighed)
    if refused:
        _turn_away(post, limits.refuse.per_s)
    return reasons


def _turn_away(post: Post, for_s: float) -> None:
    tally: Tally = current_app.extensions["hub_tally"]
    tally.rejected(post.source, post.at, "429: too many from one address", traced=False)
    raise TooManyRequests(retry_after=ceil(for_s))


def _once_more(ask: Callable[[], T]) -> T:
    """Ask the database, a second time when the line to it turns out to be dead."""
    try:
        return ask()
    except DBAPIError as error:
        if not error.connection_invalidated:
            raise
    return ask()
