"""Alerts of send limits: how many messages were skipped, for which causes, and what to do.

An alert lasts until the windows of its causes have passed without another refusal. What was skipped
is counted per cause in the windows of the rates themselves (`rate_counters`).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection, select

from hub.core.leads.rate_counters import Counter, count_recent, counter_key, increment
from hub.core.leads.send_rules import Cause
from hub.core.models import LimitCount, insert_if_new
from hub.core.monitoring import alerts

# Names of one and of many messages.
Noun = tuple[str, str]
TEXTS: Noun = ("a text", "texts")
MAILS: Noun = ("an e-mail", "e-mails")
MESSAGES: Noun = ("a message", "messages")


def alert_skipped(
    connection: Connection,
    slug: str,
    skipped: Mapping[Cause, int],
    *,
    known: Sequence[Cause],
    noun: Noun,
    now: datetime,
) -> None:
    """Begin or continue the alert of a destination that has just skipped so many for each cause.

    `known` are all causes of its limits: those that skipped something before are named too.
    """
    for cause, n in skipped.items():
        increment(connection, [_counter(slug, cause)], now=now, by=n)
        _prolong(connection, slug, cause, now)
    causes = list(dict.fromkeys([*known, *skipped]))
    counts = count_recent(connection, [_counter(slug, one) for one in causes], now=now)
    found = {one: counts[_counter(slug, one)] for one in causes}
    message = _message(slug, {one: n for one, n in found.items() if n}, noun)
    if not alerts.begin(connection, alerts.CAP_REACHED, slug, message, now=now):
        alerts.reword(connection, alerts.CAP_REACHED, slug, message)


def end_expired_alerts(connection: Connection, *, now: datetime) -> None:
    """End the alerts of destinations whose send limits have not refused anything in the window."""
    for slug in alerts.subjects(connection, alerts.CAP_REACHED, to_end=True):
        lasting = select(LimitCount.key).where(
            LimitCount.key == _alert_key(slug), LimitCount.ends_at > now
        )
        if connection.execute(lasting.limit(1)).first() is None:
            alerts.end(connection, alerts.CAP_REACHED, slug, now=now)


def _prolong(connection: Connection, slug: str, cause: Cause, now: datetime) -> None:
    window = Counter("", "", cause.per_s)
    until = window.ends_at(window.slot_at(now))
    lasting = insert_if_new(connection, LimitCount)
    connection.execute(lasting.values(key=_alert_key(slug), slot_at=until, n=1, ends_at=until))


def _message(slug: str, counts: Mapping[Cause, int], noun: Noun) -> str:
    total = sum(counts.values())
    words = [one.words if len(counts) == 1 else f"{n} for {one.words}" for one, n in counts.items()]
    told = f"{noun[0]} was" if total == 1 else f"{total} {noun[1]} were"
    message = f"{told} skipped: {', '.join(words)}. "
    if untold := sum(n for one, n in counts.items() if one.is_about_people):
        times = "once" if untold == 1 else f"{untold} times"
        message += f"So your people were {times} not told of a lead: the dashboard has the leads. "
    return message + (
        f"`hub deliveries --state skipped --destination {slug}` lists them, `limits` in hub.yaml "
        "says what may go out; replay what was right"
    )


def _counter(slug: str, cause: Cause) -> Counter:
    return Counter("skipped", f"{slug}\0{cause.words}", cause.per_s)


def _alert_key(slug: str) -> bytes:
    return counter_key(f"cap alert\0{slug}")
