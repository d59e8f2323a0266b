"""Story for the screenshots: a day of a small business, several hundred events, some failing.

Everything goes through the real ingest and the real drain, against far ends that answer as the
providers do; then rows get the times at which it would have happened. Use `telling`, or start a
`RunningHub` over `CONFIG` with `environ(far_end.url)` and give it to `tell`.
"""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import Connection, func, select

from adapters import NotVerified
from hub.bootstrap import create_hub, prepare_store
from hub.core.audit import record_action
from hub.core.delivery import pauses
from hub.core.hub import Hub
from hub.core.inbound.ingest import ingest, store_rejected
from hub.core.leads.held import hold
from hub.core.models import (
    IS_RUNNING,
    Delivery,
    Lane,
    RequestState,
    database_now,
)
from hub.core.monitoring.source_counters import SourceNews, add_up
from hub.core.monitoring.source_health import alert_silence
from hub.core.queries.hourly_stats import count_hour, keep_hours, next_to_count
from hub.settings import load_settings
from tests.dashboard.board import SECRET_KEY
from tests.far_end import FarEnd
from tests.receiving import prepare
from tests.running import RunningHub
from tests.screenshots import posts
from tests.screenshots.town import (
    CONFIG,
    LANDLINES,
    LOST,
    SENDGRID_PUBLIC,
    STOPPED,
    TWILIO_SID,
    TWILIO_TOKEN,
    Customer,
    World,
    customers,
)
from tests.screenshots.yesterday import spread

__all__ = ["CONFIG", "environ", "tell", "telling"]

SHOP_SECRET = "shpss_for_the_pictures_of_this_project"
DRAINED_WITHIN_S = 60
BAD_DAY_BEGAN = timedelta(hours=3)
_BUSY = (1, 1, 1, 1, 1, 2, 4, 8, 14, 18, 20, 19, 15, 17, 19, 18, 15, 11, 8, 7, 6, 4, 3, 2)
_MESSAGES = (
    "It leaks above the kitchen since Tuesday. When could you come?",
    "Could I have a quote for a new slate roof, about 120 m²?",
    "Two tiles fell into the neighbour's garden last night.",
    "Do you also clean gutters? Ours are full of leaves.",
    "We are buying a house on Elm Street and would like the roof looked at first.",
)
_TEXTS = ("Is Thursday still on?", "Thank you!", "Please call me back", "Yes, 9 am is fine")


def environ(far_end: str) -> dict[str, str]:
    """Return the variables that `CONFIG` needs beside those of every running hub."""
    return {
        "SECRET_KEY": SECRET_KEY,
        "FAR_END": far_end,
        "TWILIO_TOKEN": TWILIO_TOKEN,
        "TWILIO_SID": TWILIO_SID,
        "SENDGRID_PUBLIC": SENDGRID_PUBLIC,
        "SHOP_SECRET": SHOP_SECRET,
    }


@contextmanager
def telling(folder: Path, *, database_url: str, redis_url: str) -> Iterator[RunningHub]:
    """Yield a running hub (`web`, `worker`, `clock`) after the story has been played."""
    world = World()
    with FarEnd(world.behave) as far_end:
        hub = RunningHub(
            folder,
            database_url=database_url,
            redis_url=redis_url,
            config=CONFIG,
            environ=environ(far_end.url),
        )
        with hub:
            hub.start("web", "worker")
            tell(hub, world)
            hub.start("clock")
            yield hub


def tell(running: RunningHub, world: World | None = None) -> None:
    """Play a day at a hub with a worker; with its `world`, the last hours go badly."""
    environ = {**running.environ, "HUB_CONFIG": str(running.folder / "hub.yaml")}
    hub = create_hub(load_settings(environ), environ)
    prepare_store(hub)
    day = Day(hub, datetime.now(UTC))
    day.happen(Day.good_hours)
    if world is not None:
        world.is_bad_day = True
    day.happen(Day.bad_hours)
    with hub.store.write() as connection:
        spread(connection, day.now, day.chance)
        add_up(connection, day.news)
        alert_silence(connection, hub.configuration, now=day.now - BAD_DAY_BEGAN)
    count_the_hours(hub, day.now)


def count_the_hours(hub: Hub, now: datetime) -> None:
    """Count the whole day at once, as the clock does hour by hour."""
    with hub.store.write() as connection:
        starts = next_to_count(connection, now=now, most=24)
        counted = [count_hour(connection, hub.configuration, at, now=now) for at in starts]
        keep_hours(connection, counted, now=now)


@dataclass
class Day:
    """Player of the 24 hours before `now`."""

    hub: Hub
    now: datetime
    chance: random.Random = field(default_factory=lambda: random.Random(20261121))
    people: list[Customer] = field(default_factory=customers)
    news: dict[str, SourceNews] = field(default_factory=dict)
    told: int = 0
    connection: Connection | None = None

    def happen(self, hours: Callable[["Day"], None]) -> None:
        """Ingest hours in one transaction, and wait until all deliveries that can run have run."""
        with self.hub.store.write() as self.connection:
            hours(self)
        self.drained()

    @property
    def _open(self) -> Connection:
        assert self.connection is not None
        return self.connection

    def good_hours(self) -> None:
        """Ingest the successful events, and the texts that did not arrive."""
        for at in self._times(190):
            self._payment(at)
        for at in self._times(70):
            self._take(posts.lead(at, self._somebody(), self.chance.choice(_MESSAGES)))
        for at in self._times(60):
            self._mail("delivered", at)
        for at in self._times(12):
            self._mail("bounce", at, reason="550 5.1.1 no such mailbox", status="5.1.1")
        for at in self._times(30):
            words = self.chance.choice(_TEXTS)
            self._take(posts.text(self._next(), at, self._somebody(), words))
        for hours in (5, 7, 8, 10, 13):
            self._take(self._order(self._ago(hours)))
        for group, hours in ((STOPPED, 5), (LANDLINES, 2), (LOST, 4)):
            for n, who in enumerate(self.people[group]):
                at = self._ago(hours + n / 3)
                self._take(self._paid(at, who, 48_000 + 2_500 * n))
        again = posts.stripe("payment_intent.succeeded", 1, self._ago(9), self.people[0], 42_00)
        for _ in range(3):
            self._take(again)

    def bad_hours(self) -> None:
        """Ingest the failures of the last three hours."""
        pauses.mark_paused(self._open, "books", paused=True)
        record_action(self._open, actor="grace", action="pause", subject="books",
             now=self.now - BAD_DAY_BEGAN)  # fmt: skip
        for minutes in range(170, 5, -12):
            self._take(self._paid(self._ago(minutes / 60), self._somebody(), 95_000 + minutes))
        for minutes in (160, 95, 40):
            kind = "payment_intent.payment_failed"
            self._take(
                posts.stripe(kind, self._next(), self._ago(minutes / 60), self._somebody(), 129_00)
            )
        self._take(posts.stripe_body(b'{"object": "event", "id": "evt_torn"}', self._ago(1.4)))
        for minutes in (110, 80, 50, 20):
            request = posts.sendgrid(
                "delivered", self._next(), self._ago(minutes / 60), self._somebody()
            )
            self._reject(request, "sendgrid")
        old_secret = "whsec_of_an_endpoint_that_was_deleted"
        self._reject(
            posts.stripe("payment_intent.succeeded", self._next(), self._ago(2.2),
                         self._somebody(), 50_00, secret=old_secret), "stripe",
        )  # fmt: skip
        self._hold(self._ago(0.9), "best seo links http://a.example http://b.example", "5 links")
        self._hold(self._ago(0.4), "Hello dear, invest now", "the hidden field was filled in")
        self._take(
            posts.stripe("payment_intent.succeeded", self._next(), self._ago(0.3),
                         self.people[0], 42_00, live=False)
        )  # fmt: skip

    def drained(self) -> None:
        """Wait until no delivery is due that could run."""
        self.hub.waker.wake()
        deadline = time.monotonic() + DRAINED_WITHIN_S
        while self._is_working():
            assert time.monotonic() < deadline, "the worker does not come to an end"
            time.sleep(0.1)

    def _is_working(self) -> bool:
        held = select(Lane.destination).where(
            Lane.paused | (func.coalesce(Lane.blocked_until > database_now(), False))
        )
        due = Delivery.next_attempt_at <= database_now()
        with self.hub.store.read() as connection:
            return bool(
                connection.scalar(
                    select(func.count()).select_from(Delivery)
                    .where((due & Delivery.destination.not_in(held)) | IS_RUNNING)
                )
            )  # fmt: skip

    def _payment(self, at: datetime) -> None:
        who, odds = self._somebody(), self.chance.random()
        amount = self.chance.choice((4200, 9900, 12_900, 24_000, 46_500, 78_000, 120_000))
        kind = "payment_intent.succeeded"
        if odds < 0.06:
            kind = "charge.refunded"
        elif odds < 0.10:
            kind = "invoice.paid"
        elif odds < 0.14:
            kind = "payment_intent.payment_failed"
        self._take(posts.stripe(kind, self._next(), at, who, amount))

    def _paid(self, at: datetime, who: Customer, amount: int) -> posts.InboundRequest:
        return posts.stripe("payment_intent.succeeded", self._next(), at, who, amount)

    def _order(self, at: datetime) -> posts.InboundRequest:
        return posts.order(self._next(), at, self._somebody(), SHOP_SECRET)

    def _mail(self, kind: str, at: datetime, **more: str) -> None:
        if at < self.now - timedelta(hours=2):
            self._take(posts.sendgrid(kind, self._next(), at, self._somebody(), **more))

    def _take(self, request: posts.InboundRequest) -> None:
        slug = request.url.rsplit("/", 1)[1]
        state = ingest(self._open, prepare(self.hub, request, slug)).state
        news = self.news.setdefault(slug, SourceNews())
        news.counts[state] += 1
        news.last_verified_at = max(news.last_verified_at or request.received_at,
                                    request.received_at)  # fmt: skip

    def _reject(self, request: posts.InboundRequest, slug: str) -> None:
        received = replace(request, body=request.body + b" ")  # its signature is for another body
        try:
            self.hub.inbound(slug).verify(received)
        except NotVerified as error:
            reason = str(error)
        store_rejected(self._open, source=slug, request=received, reason=reason)
        news = self.news.setdefault(slug, SourceNews())
        news.counts[RequestState.REJECTED] += 1
        news.last_rejected_at, news.last_rejected_reason = received.received_at, reason

    def _hold(self, at: datetime, message: str, why: str) -> None:
        who = Customer("Best Offers", f"win{at.minute}@spam.example", "+12025550199")
        prepared = prepare(self.hub, posts.lead(at, who, message), "contact")
        ingest(self._open, hold(prepared, why))

    def _times(self, how_many: int) -> list[datetime]:
        """Return random times of the last day, more by day than by night."""
        hours = list(range(1, 24))
        weights = [_BUSY[(self.now - timedelta(hours=h + 5)).hour] for h in hours]
        chosen = self.chance.choices(hours, weights, k=how_many)
        return sorted(self._ago(hour + self.chance.random()) for hour in chosen)

    def _ago(self, hours: float) -> datetime:
        return self.now - timedelta(hours=hours)

    def _somebody(self) -> Customer:
        return self.chance.choice(self.people[16:])

    def _next(self) -> int:
        self.told += 1
        return self.told + 100
