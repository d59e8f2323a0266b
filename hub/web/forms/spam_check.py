"""Spam check of a submission, which is refused, held for a person, or ingested."""

from math import ceil

from flask import current_app, request
from werkzeug.exceptions import TooManyRequests

from adapters import FormInbound, Submission
from hub.core.configuration import Source
from hub.core.hub import Hub
from hub.core.inbound.ingest import PreparedRequest
from hub.core.leads.held import hold, sent_by
from hub.core.leads.spam import (
    SHARED,
    ScoredSubmission,
    Sender,
    over_rate_limit,
    score,
    sender_of,
)
from hub.gateways.captcha import Captchas
from hub.gateways.database.wait import once_more
from hub.web.intake import Intake
from hub.web.visitors import shares_address, visitor_of


def check_submission(
    source: Source, form: FormInbound, submission: Submission, prepared: PreparedRequest
) -> PreparedRequest:
    """Return the submission to store: unchanged, or held if it looks like spam.

    Raises:
        TooManyRequests: its sender is over the limit; nothing of it may be stored.
    """
    hub: Hub = current_app.extensions["hub"]
    if prepared.batch is None:
        return prepared
    post = ScoredSubmission(
        source=source.slug,
        submission=prepared.events[0].external_id,
        signals=form.signals(submission),
        sender=_sender(),
        at=submission.request.received_at,
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
    hub: Hub = current_app.extensions["hub"]
    hops: int = current_app.extensions["hub_proxy_hops"]
    address = visitor_of(request.environ, proxy_hops=hops)
    if address is not None:
        return sender_of(address)
    is_public = hub.public_url is not None
    shares = shares_address(request.environ, proxy_hops=hops, is_public=is_public)
    return SHARED if shares else None


def _weigh(hub: Hub, post: ScoredSubmission) -> tuple[str, ...]:
    """Count a submission; return the reasons to hold it. A flood is refused without a write."""
    limits = hub.configuration.form_limits
    sender = post.sender

    def is_beyond() -> bool:
        with hub.store.read() as connection:
            return sender is not None and over_rate_limit(connection, sender, limits, post.at)

    def weighed() -> tuple[bool, tuple[str, ...]]:
        with hub.store.write() as connection:
            found = score(connection, post, limits)
            return found.refused, found.reasons

    if sender is not None and once_more(is_beyond):
        _turn_away(post, limits.refuse.per_s)
    refused, reasons = once_more(weighed)
    if refused:
        _turn_away(post, limits.refuse.per_s)
    return reasons


def _turn_away(post: ScoredSubmission, for_s: float) -> None:
    intake: Intake = current_app.extensions["hub_intake"]
    intake.counters.rejected(post.source, post.at, "429: too many from one address", traced=False)
    raise TooManyRequests(retry_after=ceil(for_s))
