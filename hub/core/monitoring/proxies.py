"""Undeclared proxy: requests that seem to come through one which `HUB_PROXY_HOPS` does not count.

Web processes see it, and note when they last did: `hub check` and the alert know of it from there.
"""

from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, select

from hub.core.models import Heartbeat, database_now
from hub.core.monitoring import alerts
from hub.core.monitoring.heartbeats import beat, last_beat

SEEN = "undeclared proxy"
SUBJECT = "HUB_PROXY_HOPS"
# How long after the last such request the alert ends, if `HUB_PROXY_HOPS` is not set before.
LASTS = timedelta(days=1)
HOW_TO_TELL = (
    "Anybody can write that header, so find out first: open HUB_PUBLIC_URL, and look whether a "
    "proxy of yours has that visit in its log. If so, set HUB_PROXY_HOPS to the number of proxies "
    "in front of the hub (1 for one nginx, 2 for a CDN and an nginx), and let nobody but them "
    "reach the hub's port. If there is none, leave it as it is: otherwise everybody could choose "
    "the address that they are counted by"
)
SENTENCE = (
    "Requests have X-Forwarded-For or the like, as behind a proxy, and HUB_PROXY_HOPS "
    "is 0: if there is a proxy, the hub knows its address and no visitor's, so that all visitors "
    f"share one limit of forms and of texts. {HOW_TO_TELL}"
)


def note(connection: Connection, *, now: datetime) -> None:
    """Note that such a request came; begin the alert if none had come for `LASTS`.

    An alert that a person has put aside is not begun again as long as they keep coming.
    """
    if not is_seen(connection):
        alerts.begin(connection, alerts.UNDECLARED_PROXY, SUBJECT, f"{SENTENCE}.", now=now)
    beat(connection, SEEN)


def forget(connection: Connection, *, now: datetime) -> None:
    """End the alert: the proxies in front of the hub are counted now."""
    connection.execute(delete(Heartbeat).where(Heartbeat.name == SEEN))
    alerts.end(connection, alerts.UNDECLARED_PROXY, SUBJECT, now=now)


def is_seen(connection: Connection) -> bool:
    """Return whether such a request came within `LASTS`, by the clock of the database."""
    last = last_beat(connection, SEEN)
    theirs = connection.execute(select(database_now())).scalar_one()
    return last is not None and last > theirs - LASTS


def end_alert(connection: Connection, *, now: datetime) -> None:
    """End the alert once no such request has come for `LASTS`."""
    if not is_seen(connection):
        alerts.end(connection, alerts.UNDECLARED_PROXY, SUBJECT, now=now)
