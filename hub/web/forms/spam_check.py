"""Spam check of a submission, which is refused, held for a person, or ingested.

The visitor's IP address is determined as far as the hub can know it. It is never logged.
"""

from collections.abc import Mapping
from ipaddress import ip_network
from math import ceil
from typing import Any

from flask import current_app, request
from werkzeug.exceptions import TooManyRequests

from adapters import FormInbound, InboundRequest
from hub.core.client_addresses import Address, parse_address
from hub.core.configuration import Source
from hub.core.hub import Hub
from hub.core.inbound.ingest import PreparedRequest
from hub.core.leads.held import hold, sent_by
from hub.core.leads.spam import ScoredSubmission, Sender, over_rate_limit, score, sender_of
from hub.gateways.captcha import Captchas
from hub.gateways.database.wait import once_more
from hub.web.intake import Intake

# Networks of proxies: without a forwarded address, a peer in one of them stands for many visitors.
_NEARBY = tuple(
    ip_network(network)
    for network in (
        "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "127.0.0.0/8",
        "169.254.0.0/16", "::1/128", "fc00::/7", "fe80::/10",
    )
)  # fmt: skip


def visitor_of(environ: Mapping[str, Any], *, proxy_hops: int) -> Address | None:
    """Return the visitor's IP address; None if it is not known.

    Only the last `proxy_hops` entries of `X-Forwarded-For` count: the sender can write any others
    before them.
    """
    peer = parse_address(environ.get("REMOTE_ADDR") or "")
    if proxy_hops == 0:
        return None if peer is None or _is_nearby(peer) else peer
    said = [part for part in environ.get("HTTP_X_FORWARDED_FOR", "").split(",") if part.strip()]
    if said:
        return parse_address(said[-min(proxy_hops, len(said))])
    return None if peer is None or _is_nearby(peer) else peer


def _is_nearby(address: Address) -> bool:
    return any(address.version == near.version and address in near for near in _NEARBY)


def check_submission(
    source: Source, form: FormInbound, received: InboundRequest, prepared: PreparedRequest
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
