"""Benchmark row of pages: event list, filters and search, over many events and over few.

Both databases are filled by SQL with 400 days of events. The search words are compared with those
that the hub itself would write. A time is that of a whole GET by a signed-in user, one after the
other, over both databases and a bare page in turn; a percentile is over all variants of a group.
"""

import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import psycopg
import requests
from psycopg.rows import class_row

from hub.core.auth import users
from hub.core.auth.roles import Role
from hub.core.ids import first_id
from hub.core.search.indexer import partition_of, partition_word
from hub.core.search.tokenizer import words_of
from hub.gateways.database.engine import open_database
from tests.bench.bare_page import BarePage
from tests.bench.many_events import DAYS, STATES, fill
from tests.bench.report import Row, Target
from tests.bench.stage import Stage, served
from tests.dashboard.board import SECRET_KEY
from tests.dashboard.people import FIELD, HASH, PASSWORD
from tests.running import ROOT, RunningHub

FEW = 50_000
# Requests of each kind, in each round, over each database.
REQUESTS = 40
WARM_UP = 4
MOST_RATIO = 1.5
# The p95 over many events, of that of a bare page over the same table.
MOST_OF_BARE = 8

SAMPLE = 300
NOWHERE = "qqxqq"


@dataclass(frozen=True)
class Seen:
    """Stored event that the queries of the benchmark look for."""

    id: UUID
    type: str
    source: str
    external_id: str
    received_at: datetime
    data: dict[str, str | int]
    words: list[str]


Asked = Mapping[str, str]

# Queries by group and kind, for an event picked at random from all the days.
_WAYS: Mapping[str, Mapping[str, Callable[[Seen], Asked]]] = {
    "list": {
        "newest": lambda seen: {},
        "older": lambda seen: {"before": str(seen.id)},
    },
    "filter": {
        "source": lambda seen: {"source": seen.source},
        "type": lambda seen: {"type": seen.type},
        "family": lambda seen: {"type": f"{seen.type.partition('.')[0]}.*"},
        "state": lambda seen: {"state": random.choice(list(STATES))},
        "test": lambda seen: {"live": "test"},
        "source and type": lambda seen: {"source": seen.source, "type": seen.type},
        "source and state": lambda seen: {
            "source": seen.source,
            "state": random.choice(list(STATES)),
        },
        "time": lambda seen: {
            "since": (seen.received_at - timedelta(days=7)).isoformat(),
            "until": seen.received_at.isoformat(),
        },
    },
    "search": {
        "name": lambda seen: {"q": str(seen.data["name"])},
        "first name": lambda seen: {"q": str(seen.data["name"]).split()[0]},
        "surname": lambda seen: {"q": str(seen.data["name"]).split()[1]},
        "e-mail": lambda seen: {"q": str(seen.data["email"])},
        "external id": lambda seen: {"q": seen.external_id},
        "amount": lambda seen: {"q": f"${int(seen.data.get('amount', 1234)) / 100:.2f}"},
        "common word": lambda seen: {"q": seen.type.partition(".")[0]},
        "nowhere": lambda seen: {"q": NOWHERE},
    },
}
# So few events share these values that the picked one must be on the page.
_FINDS_IT = {"e-mail", "external id"}


def measure(stage: Stage, *, rounds: int, events: int) -> Row:
    """Return percentiles over `events` events, those over few, and the ratio of the two."""
    row = Row("pages")
    config = (ROOT / "hub.example.yaml").read_text()
    environ = {"SECRET_KEY": SECRET_KEY}
    with stage.hub(config, **environ) as few, stage.hub(config, **environ) as many:
        readers = [_reader(few, FEW), _reader(many, events)]
        database = {"DATABASE_URL": many.environ["DATABASE_URL"]}
        with served("tests.bench.bare_page:app", "gunicorn", database, stage.folder) as port:
            bare = BarePage(port)
            _in_turn(readers, 1, bare)
            for _ in range(rounds):
                _add_round(row, readers, bare, events)
    return row


def _add_round(row: Row, readers: Sequence["_Reader"], bare: BarePage, events: int) -> None:
    took_ms, bare_ms = _in_turn(readers, REQUESTS, bare)
    bare_p95 = _quantiles(bare_ms)[1]
    row.add("bare page: p95", "ms", bare_p95)
    for name in _WAYS:
        (small_p50, small_p95), (p50, p95) = (_quantiles(took[name]) for took in took_ms)
        row.add(f"{name}: p50 of {FEW:,}", "ms", small_p50)
        row.add(f"{name}: p95 of {FEW:,}", "ms", small_p95)
        row.add(f"{name}: p50 of {events:,}", "ms", p50)
        row.add(f"{name}: p95 of {events:,}", "ms", p95)
        target = Target(MOST_OF_BARE, at_most=True)
        row.add(f"{name}: p95 ÷ bare page's", "×", p95 / bare_p95, target)
        ratio = p95 / small_p95
        row.add(f"{name}: p95 ÷ p95", "×", ratio, Target(MOST_RATIO, at_most=True))


@dataclass(frozen=True)
class _Reader:
    """Signed-in session at a hub, and the events that it looks for."""

    address: str
    session: requests.Session
    seen: Sequence[Seen]

    def look(self, name: str, kind: str) -> float:
        """Return the time that one page of a given kind takes, in milliseconds."""
        seen = random.choice(self.seen)
        asked = _WAYS[name][kind](seen)
        start = time.perf_counter()
        answer = self.session.get(f"{self.address}/events", params=asked, timeout=30)
        took_s = time.perf_counter() - start
        assert answer.status_code == 200, f"{kind}: {answer.status_code}"
        assert kind not in _FINDS_IT or str(seen.id) in answer.text, f"{kind}: {asked} not found"
        return took_s * 1000


def _in_turn(
    readers: Sequence[_Reader], times: int, bare: BarePage | None = None
) -> tuple[list[dict[str, list[float]]], list[float]]:
    """Return the page times of each reader by group of queries, and those of the bare page, in ms.

    The bare page is asked for the events before one that any reader's list may begin with.
    """
    took_ms: list[dict[str, list[float]]] = [{name: [] for name in _WAYS} for _ in readers]
    bare_ms: list[float] = []
    questions = [(name, kind) for name, kinds in _WAYS.items() for kind in kinds] * times
    random.shuffle(questions)
    for name, kind in questions:
        for reader, took in zip(readers, took_ms, strict=True):
            took[name].append(reader.look(name, kind))
        if bare:
            bare_ms.append(bare.look(str(random.choice(readers[-1].seen).id)))
    return took_ms, bare_ms


def _quantiles(times_ms: Sequence[float]) -> tuple[float, float]:
    cuts = statistics.quantiles(times_ms, n=100, method="inclusive")
    return cuts[49], cuts[94]


def _reader(hub: RunningHub, events: int) -> _Reader:
    url = hub.environ["DATABASE_URL"]
    fill(url, events)
    seen = _pick(url)
    _see_words(seen)
    _add_user(url)
    hub.start("web")
    reader = _Reader(hub.address, _signed_in(hub.address), seen)
    _in_turn([reader], WARM_UP)
    return reader


def _add_user(url: str) -> None:
    database = open_database(url)
    with database.write() as connection:
        users.add(
            connection, "jane", Role.ADMIN, password_hash=HASH, sees_personal=True, actor="bench",
            now=datetime.now(UTC),
        )  # fmt: skip
    database.engine.dispose()


def _signed_in(address: str) -> requests.Session:
    session = requests.Session()
    form = dict(FIELD.findall(session.get(f"{address}/sign-in", timeout=30).text))
    form |= {"name": "jane", "password": PASSWORD}
    answer = session.post(f"{address}/sign-in", data=form, allow_redirects=False, timeout=30)
    assert answer.status_code == 303, "nobody could sign in"
    return session


def _pick(url: str) -> list[Seen]:
    """Return events from random days."""
    now = datetime.now(UTC)
    picked = []
    with psycopg.connect(url) as connection, connection.cursor(row_factory=class_row(Seen)) as rows:
        for _ in range(SAMPLE):
            at = now - timedelta(days=random.uniform(0.1, DAYS - 1))
            rows.execute(
                "SELECT id, type, source, external_id, received_at, data, "
                "tsvector_to_array(words) AS words FROM events JOIN event_search ON event_id = id "
                "WHERE id > %s ORDER BY id LIMIT 1",
                [first_id(at)],
            )
            picked += rows.fetchall()
    return picked


def _see_words(picked: Sequence[Seen]) -> None:
    """Check that these events are indexed under exactly the words that the hub would write."""
    for seen in picked:
        words = words_of(seen.type, seen.source, seen.external_id, seen.data)
        wanted = {*words, partition_word(partition_of(seen.id))}
        assert set(seen.words) == wanted, f"search would find other words: {wanted ^ {*seen.words}}"
