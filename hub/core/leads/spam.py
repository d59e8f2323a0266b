"""Spam score of form submissions: decides which leads are held for a person to check.

A suspicious lead is held, never dropped; only a submission above the rate for one address is
refused. A missing signed token is no evidence of spam: static pages have none.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from adapters.contract.form_inbound import Signals
from hub.core.client_addresses import Address, customer_block, network_block
from hub.core.configuration import FormLimits, Rate
from hub.core.leads.rate_counters import Counter, count_recent, counter_key, increment

# Shorter texts are not counted as repeats: names and greetings are sent by many visitors.
SHORTEST_REPEAT = 20


@dataclass(frozen=True, slots=True)
class Sender:
    """Sender of a submission, by IP: `address` is an IPv4 address or a whole IPv6 /56.

    `network` is the /24 (IPv4) or the /48 (IPv6) around it.
    """

    address: str
    network: str

    @property
    def digest(self) -> str:
        """Return the digest of the address, in hexadecimal; the address itself is not stored."""
        return counter_key(f"sender\0{self.address}").hex()


# Sender of all submissions that come through a proxy which `HUB_PROXY_HOPS` does not count.
SHARED = Sender("everybody behind the proxy", "everybody behind the proxy")


@dataclass(frozen=True, slots=True)
class ScoredSubmission:
    """Submission to be scored; `submission` is its id, the same when it is sent again."""

    source: str
    submission: str
    signals: Signals
    sender: Sender | None
    at: datetime


@dataclass(frozen=True, slots=True)
class SpamScore:
    """Spam score of a submission. `refused`: reject it. `reasons`: why to hold it, empty if not."""

    refused: bool = False
    reasons: tuple[str, ...] = ()


def sender_of(address: Address) -> Sender:
    """Return the sender with an IP address."""
    return Sender(customer_block(address), network_block(address))


def told_by(signals: Signals, limits: FormLimits) -> Iterator[str]:
    """Yield the reasons to hold a submission that follow from its own content."""
    if signals.honeypot:
        yield "honeypot: a field that people do not see was filled in"
    if signals.after_s is not None and signals.after_s < limits.min_seconds:
        yield f"too fast: sent within {limits.min_seconds:g} s of opening the form"
    if signals.links > limits.links:
        yield f"links: {signals.links}, and {limits.links} are allowed"


def over_rate_limit(
    connection: Connection, sender: Sender, limits: FormLimits, at: datetime
) -> bool:
    """Return whether a sender has used up its rate limit; count nothing."""
    watched = _refusing(sender, limits)
    return count_recent(connection, [watched], now=at)[watched] >= limits.refuse.count


def score(connection: Connection, post: ScoredSubmission, limits: FormLimits) -> SpamScore:
    """Count a submission and return its spam score. Must be called in a transaction.

    A submission that is sent again (a double click) does not count as a repeat of its text.
    """
    repeats = _repeats(post, limits)
    rates = list(_rates(post.sender, limits))
    whom = f"{post.source}\0{post.submission}"
    submission = Counter("form submission", whom, limits.repeats.per_s)
    counted = [submission, *(watched for watched, _, _ in rates)]
    increment(connection, counted, now=post.at)
    seen = count_recent(connection, [*counted, *repeats], now=post.at)
    if repeats and seen[submission] == 1:
        increment(connection, repeats, now=post.at)
        seen = {**seen, **count_recent(connection, repeats, now=post.at)}
    if post.sender and seen[_refusing(post.sender, limits)] > limits.refuse.count:
        return SpamScore(refused=True)
    reasons = list(told_by(post.signals, limits))
    if any(seen[one] > limits.repeats.count for one in repeats):
        reasons.append("repeats: the same text came too often")
    reasons += [why for watched, rate, why in rates if why and seen[watched] > rate.count]
    return SpamScore(reasons=tuple(reasons))


def _repeats(post: ScoredSubmission, limits: FormLimits) -> list[Counter]:
    text = post.signals.text.strip()
    if len(text) < SHORTEST_REPEAT:
        return []
    return [Counter("form text", f"{post.source}\0{text}", limits.repeats.per_s)]


def _refusing(sender: Sender, limits: FormLimits) -> Counter:
    return Counter("form refusal", sender.address, limits.refuse.per_s)


def _rates(sender: Sender | None, limits: FormLimits) -> Iterator[tuple[Counter, Rate, str]]:
    """Yield each counter of a sender, its rate, and the reason to hold a lead beyond the rate."""
    if sender is None:
        return
    yield _refusing(sender, limits), limits.refuse, ""
    address = Counter("form address", sender.address, limits.per_address.per_s)
    yield address, limits.per_address, "address: too many came from one address"
    network = Counter("form network", sender.network, limits.per_network.per_s)
    yield network, limits.per_network, "network: too many came from one network"
