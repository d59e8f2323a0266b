"""Benchmark row of retention: ingest while the clock deletes old events, and without that.

Web and clock run over one database. In each round the clock's `hub.yaml` once keeps everything for
ever and once has the default spans, so that its other work is the same. The old events are from 401
to 500 days ago; each has a request without its body, a key, two deliveries with an attempt each,
and search words: what a hub has that has run for so long. At the end the deletions go on beside a
steady load until no old event is left.
"""

import re
import signal
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

import psycopg

from hub.core.configuration import Retention
from hub.core.ids import first_id
from tests.bench.ingest import CONFIG
from tests.bench.load import Pressed, Webhooks, press
from tests.bench.processes import cpu_s
from tests.bench.report import Row, Target, in_turn
from tests.bench.stage import Stage
from tests.bench.steady import quantile_ms, steady
from tests.running import RunningHub, until

MANY = 1_000_000
CHUNK = 100_000
LONGEST_MS = 100
WARM_UP = 2000
# Its first sweep, and the first steps of retention, are over by then.
CLOCK_STARTS_S = 3.0
# Load beside which everything is deleted; requests are signed for so many seconds at once.
STEADY_PER_S, SIGNED_FOR_S = 200, 10
# By then a million are gone, or something is wrong.
PATIENCE_S = 3600
PRESIGNED_PER_S = 8000
FOREVER = "retention: {bodies: forever, events: forever, keys: forever, held: forever}\n"
DAY_MS = 86_400_000

_ID = """
CREATE FUNCTION pg_temp.id_of(n bigint, kind int) RETURNS uuid IMMUTABLE LANGUAGE sql AS
    $$ SELECT (lpad(to_hex({start_ms} + n * {span_ms} / {events}), 12, '0') || '7'
               || substr(md5(n::text), 1, 3) || 'a' || kind || substr(md5(n::text), 4, 14))::uuid $$
"""
_OLD = (
    "generate_series({first}, {last}) AS n, "
    "to_timestamp(({start_ms} + n * {span_ms} / {events}) / 1000.0) AS at"
)
_FILL = (
    """
INSERT INTO inbound_requests (id, source, state, received_at, method, url, headers, size_bytes,
    signed_by, conflict, event_id, body_deleted_at)
SELECT pg_temp.id_of(n, 1), 'stripe', 'accepted', at, 'POST', 'http://hub.example/webhooks/stripe',
    '{{}}', 6000, 'secrets[0]', false, pg_temp.id_of(n, 2), now() FROM {old} ORDER BY n
""",
    """
INSERT INTO events (id, request_id, source, type, native_type, external_id, occurred_at,
    received_at, state, live, data, config_version, folded, indexed)
SELECT pg_temp.id_of(n, 2), pg_temp.id_of(n, 1), 'stripe', 'payment.succeeded',
    'payment_intent.succeeded', 'evt_old' || n, at, at, 'matched', true,
    jsonb_build_object('email', 'buyer' || n || '@example.com', 'amount', n, 'currency', 'USD',
        'customer_id', 'cus_' || md5(n::text), 'object_id', 'pi_' || md5(n::text)),
    '0123456789ab', true, true FROM {old} ORDER BY n
""",
    """
INSERT INTO event_keys (source, external_id, event_id, fingerprint, first_seen_at)
SELECT 'stripe', 'evt_old' || n, pg_temp.id_of(n, 2), decode(md5(n::text), 'hex'), at
FROM {old} ORDER BY n
""",
    """
INSERT INTO event_search (event_id, words)
SELECT pg_temp.id_of(n, 2), array_to_tsvector(ARRAY['stripe', 'payment', 'succeeded', 'usd',
    'buyer' || n || '@example.com', 'evt_old' || n, n::text]) FROM {old} ORDER BY n
""",
    """
INSERT INTO deliveries (id, event_id, route, destination, action, state, created_at, since,
    finished_at, attempts, tries, provider_ref)
SELECT pg_temp.id_of(n, 3 + route), pg_temp.id_of(n, 2), 'route-' || route, 'ops', 'post',
    'succeeded', at, at, at, 1, 1, 'ref_' || md5(n::text)
FROM {old}, generate_series(0, 1) AS route ORDER BY n
""",
    """
INSERT INTO attempts (id, delivery_id, n, key, state, parameters, started_at, ended_at, status)
SELECT pg_temp.id_of(n, 5 + route), pg_temp.id_of(n, 3 + route), 1,
    pg_temp.id_of(n, 3 + route)::text, 'accepted',
    jsonb_build_object('body', jsonb_build_object('event', 'evt_old' || n, 'amount', n)),
    at, at, 200
FROM {old}, generate_series(0, 1) AS route ORDER BY n
""",
)
_TURN = re.compile(r"deleted (?:.*?)(\d+) events.* in ([\d.]+) s; longest step (\d+) ms")
_COUNT = "SELECT count(*) FROM events"
_SIZE = "SELECT pg_database_size(current_database())"
_WAL = "SELECT pg_current_wal_lsn() - '0/0'::pg_lsn"


def measure(stage: Stage, *, rounds: int, seconds: float, events: int) -> Row:
    """Return the rates of ingest with and without deletions, and how fast and short those are."""
    row = Row("retention")
    many = min(events, MANY)
    with stage.hub(CONFIG) as hub:
        url = hub.environ["DATABASE_URL"]
        fill(url, many)
        before = _ask(url, _SIZE)
        subjects: dict[str, Callable[[], Pressed]] = {
            "without": partial(_pressed, hub, seconds, CONFIG + FOREVER),
            "with": partial(_pressed, hub, seconds, CONFIG),
        }
        for number in range(rounds):
            left, wal = _left(url), _ask(url, _WAL)
            # The same processes for both: how connections fall to them makes more of a difference.
            hub.start("web")
            press(hub.port, Webhooks(f"w{number}").requests(WARM_UP), seconds=seconds)
            done = in_turn(subjects, number)
            _stop(hub, "web")
            deleted = left - _left(url)
            assert deleted > 0, "nothing was deleted meanwhile"
            row.add("ingest without", "/s", done["without"].per_s)
            row.add("ingest with", "/s", done["with"].per_s)
            ratio = done["with"].per_s / done["without"].per_s
            row.add("ingest with ÷ without", "×", ratio, Target(0.9))
            row.add("p99 without", "ms", done["without"].quantile_ms(99))
            row.add("p99 with", "ms", done["with"].quantile_ms(99))
            row.add("old events deleted beside it", "", deleted)
            row.add("WAL of both", "MB", (_ask(url, _WAL) - wal) / 1e6)
        _delete_alone(hub, row, seconds)
        _delete_all(hub, row)
        row.add("database before ÷ after", "×", before / _ask(url, _SIZE))
    for longest_ms in _longest_ms(hub):
        row.add("longest step", "ms", longest_ms, Target(LONGEST_MS, at_most=True))
    return row


def fill(url: str, events: int) -> None:
    """Fill a database with so many old events and all that belongs to them, oldest first."""
    start_ms, span_ms = int(time.time() * 1000) - 500 * DAY_MS, 99 * DAY_MS
    when = {"start_ms": start_ms, "span_ms": span_ms, "events": events}
    options = "-c synchronous_commit=off -c maintenance_work_mem=256MB"
    with psycopg.connect(url, autocommit=True, options=options) as connection:
        connection.execute("SET session_replication_role = replica")  # no foreign key is checked
        connection.execute(_ID.format(**when).encode())
        for first in range(0, events, CHUNK):
            old = _OLD.format(first=first, last=min(first + CHUNK, events) - 1, **when)
            for statement in _FILL:
                connection.execute(statement.format(old=old).encode())
        connection.execute("VACUUM ANALYZE")
        connection.execute("CHECKPOINT")


def _pressed(hub: RunningHub, seconds: float, config: str) -> Pressed:
    """Press the hub while a clock runs under a configuration, which is stopped at the end."""
    (hub.folder / "hub.yaml").write_text(config)
    ready = Webhooks(f"r{time.monotonic_ns()}").requests(int(PRESIGNED_PER_S * seconds))
    hub.start("clock")
    time.sleep(CLOCK_STARTS_S)
    pressed = press(hub.port, ready, seconds=seconds)
    if config == CONFIG:
        _await_turn(hub)
    _stop(hub, "clock")
    assert not pressed.refused, "some webhooks were refused"
    return pressed


def _delete_alone(hub: RunningHub, row: Row, seconds: float) -> None:
    """Measure the deletions of a clock beside which nothing comes in."""
    url = hub.environ["DATABASE_URL"]
    (hub.folder / "hub.yaml").write_text(CONFIG)
    hub.start("clock")
    left = _left(url)
    until(lambda: _left(url) < left, 30, "the first deletion")
    pid = hub.processes["clock"].pid
    before_s, left, begin_s = cpu_s(pid), _left(url), time.monotonic()
    time.sleep(seconds)
    took_s = time.monotonic() - begin_s
    row.add("clock: share of a core alone", "×", (cpu_s(pid) - before_s) / took_s)
    row.add("old events deleted alone", "/s", (left - _left(url)) / took_s)
    assert _are_left(url), "all were deleted before the end: there must be more --events"
    _await_turn(hub)
    _stop(hub, "clock")


def _delete_all(hub: RunningHub, row: Row) -> None:
    """Measure webhooks at a steady rate, alone and until the clock has deleted all old events."""
    url = hub.environ["DATABASE_URL"]
    webhooks = Webhooks("steady")
    stored = _ask(url, _COUNT)
    left = _left(url)

    def for_a_while() -> list[float]:
        requests = webhooks.requests(STEADY_PER_S * SIGNED_FOR_S)
        return steady(hub.port, requests, per_s=STEADY_PER_S)

    hub.start("web")
    for_a_while()
    without_s, with_s = for_a_while(), list[float]()
    begin_s = time.monotonic()
    hub.start("clock")
    while _are_left(url):
        assert time.monotonic() < begin_s + PATIENCE_S, f"{_left(url)} old events are still there"
        with_s += for_a_while()
    took_s = time.monotonic() - begin_s
    for name in ("clock", "web"):
        _stop(hub, name)
    beside = f"beside {STEADY_PER_S} webhooks a second"
    row.add(f"all that were left, {beside}", "", left)
    row.add(f"minutes for all, {beside}", "min", took_s / 60)
    row.add(f"old events deleted {beside}", "/s", left / took_s)
    for part in (50, 99):
        row.add(f"p{part} of the webhooks before that", "ms", quantile_ms(without_s, part))
        row.add(f"p{part} of the webhooks meanwhile", "ms", quantile_ms(with_s, part))
    # Any other answer than 2xx has ended the run.
    lost = len(with_s) + 2 * len(without_s) - (_ask(url, _COUNT) - stored + left)
    row.add("webhooks answered 2xx and not stored", "", lost, Target(0, at_most=True))


def _await_turn(hub: RunningHub) -> None:
    """Wait until the clock has logged what the turn under way deleted."""
    turns = len(_longest_ms(hub))
    until(lambda: len(_longest_ms(hub)) > turns, 30, "the end of a turn")


def _longest_ms(hub: RunningHub) -> list[float]:
    """Return the longest step of each turn, by the clock's own log."""
    found = _TURN.findall((hub.folder / "clock.log").read_text())
    return [float(longest_ms) for _, _, longest_ms in found]


def _stop(hub: RunningHub, name: str) -> None:
    hub.signal(name, signal.SIGTERM)
    hub.processes.pop(name).wait(30)


def _left(url: str) -> int:
    return _ask(url, "SELECT count(*) FROM events WHERE external_id LIKE 'evt_old%'")


def _are_left(url: str) -> bool:
    """Return whether an event is there that is too old, by a look at the oldest alone."""
    assert Retention().events is not None
    old = first_id(datetime.now(UTC) - Retention().events)
    return bool(_ask(url, f"SELECT count(*) FROM (SELECT FROM events WHERE id < '{old}' LIMIT 1)"))


def _ask(url: str, query: str) -> int:
    with psycopg.connect(url) as connection:
        found = connection.execute(query.encode()).fetchone()
    assert found is not None
    return int(found[0])
