"""Database restored from a backup: calls made since then are not repeated."""

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import make_url

from hub.core.delivery.restore_detection import newest_watermark
from hub.core.identity import read_identity
from hub.gateways.redis_queue import connect
from hub.gateways.restore_check import mark_key, read_mark
from tests.far_end import FarEnd
from tests.faults.hubs import FaultyHub, polite
from tests.journeys.test_texts import CONFIG, NUMBERS, WITHIN_S
from tests.running import stripe_event, until
from tests.twilio_far_end import TOKEN, TwilioFarEnd

# Texts sent before the backup, texts sent after it, and one that was never sent.
BEFORE, AFTER, NEVER = range(2), range(2, 6), range(6, 7)
WITH_POSTS = CONFIG.replace(
    "destinations:",
    'destinations:\n  ops: {adapter: http, url: "${FAR_END}/hook", secret: "${OPS_SECRET}"}',
).replace(
    "routes:",
    "routes:\n  post: {on: payment.succeeded, live: any, do: ops.post, "
    'with: {body: {event: "{{ event.external_id }}"}}}',
)


class Backup:
    """Copy of a database, made and restored while no process is connected."""

    def __init__(self, url: str, folder: Path) -> None:
        self._url = url
        self._copy = folder / "backup.db"

    def take(self) -> None:
        name = make_url(self._url).database or ""
        if self._url.startswith("sqlite"):
            sqlite3.connect(name).execute("PRAGMA wal_checkpoint(TRUNCATE)").close()
            shutil.copy(name, self._copy)
        else:
            self._as_owner("CREATE DATABASE {1} TEMPLATE {0}")

    def restore(self) -> None:
        name = make_url(self._url).database or ""
        if self._url.startswith("sqlite"):
            for file in Path(name).parent.glob(Path(name).name + "*"):
                file.unlink()
            shutil.copy(self._copy, name)
        else:
            self._as_owner("DROP DATABASE {0} WITH (FORCE)")
            self._as_owner("CREATE DATABASE {0} TEMPLATE {1}")
            self._as_owner("DROP DATABASE {1}")

    def _as_owner(self, statement: str) -> None:
        url = make_url(self._url).set(drivername="postgresql")
        names = sql.Identifier(url.database or ""), sql.Identifier(f"{url.database}_backup")
        owner = url.set(database="postgres").render_as_string(hide_password=False)
        with psycopg.connect(owner, autocommit=True) as connection:
            connection.execute(sql.SQL(statement).format(*names))


class Business:
    """Hub that texts and posts for each payment, and its database."""

    def __init__(self, hub: FaultyHub, twilio: TwilioFarEnd, far_end: FarEnd, url: str) -> None:
        self.hub = hub
        self.twilio = twilio
        self.far_end = far_end
        self.backup = Backup(url, hub.folder)
        self._bodies: dict[int, bytes] = {}

    def send(self, texts: range) -> None:
        """Send events, the same bytes whenever they are sent again."""
        for n in texts:
            fresh = stripe_event(f"evt_{n}", metadata={"to": NUMBERS[n]})
            body = self._bodies.setdefault(n, fresh)
            assert self.hub.post(body) == 200

    def wait_for(self, **states: int) -> None:
        until(lambda: self.states() == states, WITHIN_S, f"{states}")

    def states(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for row in self.hub.deliveries():
            if row["destination"] == "texts":
                found[row["state"]] = found.get(row["state"], 0) + 1
        return found

    def texts(self) -> list[int]:
        """Return the number of texts that each person got."""
        return [len(self.twilio.sent_to(number)) for number in NUMBERS]

    def posts(self) -> list[str]:
        return [one.json["event"] for one in self.far_end.received if one.path == "/hook"]

    def kinds(self) -> list[str]:
        return [alert["kind"] for alert in self.hub.cli("alerts")]

    def stop(self) -> None:
        for process in self.hub.processes.values():
            process.terminate()
        for process in self.hub.processes.values():
            process.wait(WITHIN_S)
        self.hub._database.engine.dispose()

    def lose_what_came_after_the_backup(self) -> None:
        """Work, take a backup, work more, and restore; no process runs at the end."""
        self.hub.start("web", "worker", "clock")
        self.send(BEFORE)
        self.wait_for(succeeded=len(BEFORE))
        until(lambda: len(self.posts()) == len(BEFORE), WITHIN_S, "the posts")
        self.stop()
        self.backup.take()
        self.hub.start("web", "worker")
        self.send(AFTER)
        self.wait_for(succeeded=len(BEFORE) + len(AFTER))
        until(lambda: len(self.posts()) == len(BEFORE) + len(AFTER), WITHIN_S, "the posts")
        self.hub.start("clock")
        until(self._is_marked, WITHIN_S, "the mark")
        self.stop()
        self.backup.restore()

    def _is_marked(self) -> bool:
        with self.hub._database.read() as connection, connect(self.hub.environ["REDIS_URL"]) as one:
            identity = read_identity(connection)
            assert identity is not None
            return read_mark(one, mark_key(identity.hub_id)) == newest_watermark(connection)


@pytest.fixture
def start(tmp_path: Path, redis_url: str) -> Iterator[Callable[[str], Business]]:
    """Make a hub over a database; no process runs yet."""
    twilio = TwilioFarEnd(timeout_s=60)
    hubs: list[FaultyHub] = []

    def behave(received):
        return twilio.behave(received) if "/Accounts/" in received.path else polite(received)

    with FarEnd(behave) as far_end:

        def make(database_url: str) -> Business:
            hub = FaultyHub(
                tmp_path, far_end=far_end, hurry=True, config=WITH_POSTS,
                database_url=database_url, redis_url=redis_url,
                environ={"TWILIO_AUTH_TOKEN": TOKEN},
            )  # fmt: skip
            hub.environ["HUB_PUBLIC_URL"] = hub.address
            hubs.append(hub)
            return Business(hub, twilio, far_end, database_url)

        yield make
        for hub in hubs:
            hub.__exit__()


# Expected number of texts to each person; the others get none.
ONCE_EACH = [1] * len([*BEFORE, *AFTER, *NEVER]) + [0] * (
    len(NUMBERS) - len([*BEFORE, *AFTER, *NEVER])
)


def test_texts_that_the_lost_hub_sent_are_found_and_not_sent_again(
    start, mostly_postgresql_url
) -> None:
    """F53 restored from a backup: texts are looked up"""
    business = start(mostly_postgresql_url)
    business.lose_what_came_after_the_backup()
    business.hub.start("web", "worker")
    business.send(BEFORE)
    business.send(AFTER)
    business.send(NEVER)
    business.wait_for(succeeded=len(BEFORE), unknown=len(AFTER) + len(NEVER))
    assert "restored from a backup" in business.kinds(), "noticed by the worker alone"
    business.hub.start("clock")
    business.wait_for(succeeded=len(BEFORE) + len(AFTER) + len(NEVER))
    assert business.texts() == ONCE_EACH
    assert len(business.posts()) == len(set(business.posts())), "nor was a post made twice"
    assert business.kinds().count("restored from a backup") == 1
    assert not business.hub.died("worker")


def test_where_nothing_can_be_looked_up_a_person_is_asked(start, postgresql_url) -> None:
    """F53 restored from a backup: a person is asked"""
    business = start(postgresql_url)
    business.lose_what_came_after_the_backup()
    business.twilio.lists = False
    business.hub.start("web", "worker", "clock")
    business.send(AFTER)
    business.wait_for(succeeded=len(BEFORE), unknown=len(AFTER))
    until(
        lambda: business.kinds().count("unknown outcome") >= len(AFTER), WITHIN_S, "the questions"
    )
    assert business.states() == {"succeeded": len(BEFORE), "unknown": len(AFTER)}
    assert sum(business.texts()) == len(BEFORE) + len(AFTER)


@pytest.mark.faults
def test_without_redis_the_word_of_a_person_counts(start, sqlite_url, redis_server) -> None:
    """F53 restored from a backup: Redis lost too"""
    business = start(sqlite_url)
    business.lose_what_came_after_the_backup()
    with redis_server.client() as client:
        client.flushall()
    business.hub.cli("db", "restored", "--since", "1h")
    business.hub.start("web", "worker", "clock")
    business.send(AFTER)
    business.wait_for(succeeded=len(BEFORE) + len(AFTER))
    assert sum(business.texts()) == len(BEFORE) + len(AFTER)
