"""Benchmark row of bulk replay: time until 100,000 failed deliveries are due, and its memory.

The deliveries are in the database beforehand; the clock releases them at the highest rate there
is. No worker runs: the speed of calls is another row. Beside it one `UPDATE` that makes as many
deliveries due, in a database of its own.
"""

import time
from datetime import UTC, datetime
from uuid import uuid4

import psycopg
from sqlalchemy import func, select

from hub.bootstrap import create_hub
from hub.core.models import Delivery, DeliveryState, Replay, ReplayState
from hub.core.replays.create import FASTEST, ReplayRequest, create_replay
from hub.core.replays.selection import Selection
from hub.settings import load_settings
from tests.bench.processes import resident_mb
from tests.bench.report import Row, Target
from tests.bench.stage import Stage
from tests.running import PLAIN, RunningHub, until

DELIVERIES = 100_000
# Of what one UPDATE takes in the same round.
MOST_RATIO = 20
GIVE_UP_S = 300
FLAT_MB = 10
REST_S = 3

_STORE = (
    """
CREATE TEMP TABLE made AS SELECT n, gen_random_uuid() AS event, gen_random_uuid() AS delivery
FROM generate_series(1, %(count)s) AS n
""",
    """
INSERT INTO inbound_requests (id, source, state, received_at, method, url, headers, body,
    size_bytes, conflict)
VALUES (%(request)s, 'stripe', 'accepted', now(), 'POST', '/webhooks/stripe', '{}', '{}', 2, false)
""",
    """
INSERT INTO events (id, request_id, source, type, native_type, external_id, occurred_at,
    received_at, state, live, data, config_version, folded, indexed)
SELECT event, %(request)s, 'stripe', 'payment.succeeded', 'payment_intent.succeeded',
    'evt_' || n, now(), now(), 'matched', true, '{}', '1', true, true
FROM made
""",
    """
INSERT INTO deliveries (id, event_id, route, destination, action, state, error, created_at, since,
    finished_at, attempts, tries)
SELECT delivery, event, 'all-to-ops', 'ops', 'post', 'failed', 'it answered 500', now(), now(),
    now(), 1, 1
FROM made
""",
    """
INSERT INTO attempts (id, delivery_id, n, key, state, parameters, sandbox, started_at, ended_at,
    status, message)
SELECT gen_random_uuid(), delivery, 1, delivery::text, 'rejected', '{}', false, now(), now(), 500,
    'it answered 500'
FROM made
""",
    "ANALYZE",
)

_UPDATE = """
UPDATE deliveries SET state = 'pending', next_attempt_at = now(), since = now(), finished_at = NULL,
    error = NULL, tries = 0
WHERE state = 'failed'
"""


def measure(stage: Stage, *, rounds: int) -> Row:
    """Return the time for all of them, and the growth of the clock's memory meanwhile."""
    row = Row("bulk replay")
    for _ in range(rounds):
        update_s = _updated_s(stage)
        with stage.hub(PLAIN, FAR_END="http://127.0.0.1:1") as hub:
            _fill(hub.environ["DATABASE_URL"])
            hub.start("clock")
            time.sleep(REST_S)
            started_s, done_s, grown_mb = _replayed(hub)
        row.add(f"{DELIVERIES:,} written down", "s", started_s)
        row.add(f"{DELIVERIES:,} due again", "s", done_s)
        row.add(f"one UPDATE of {DELIVERIES:,}", "s", update_s)
        row.add("due again ÷ one UPDATE", "×", done_s / update_s, Target(MOST_RATIO, at_most=True))
        row.add("clock: grown by", "MB", grown_mb, Target(FLAT_MB, at_most=True))
    return row


def _updated_s(stage: Stage) -> float:
    """Return the seconds that one UPDATE takes, with its commit."""
    with stage.database() as url:
        _fill(url)
        with psycopg.connect(url, autocommit=True) as connection:
            begin_s = time.monotonic()
            done = connection.execute(_UPDATE)
            took_s = time.monotonic() - begin_s
    assert done.rowcount == DELIVERIES, "some were not updated"
    return took_s


def _fill(url: str) -> None:
    values = {"count": DELIVERIES, "request": uuid4()}
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in _STORE:
            connection.execute(statement, values if "%(" in statement else None)  # type: ignore[arg-type]


def _replayed(running: RunningHub) -> tuple[float, float, float]:
    """Return the time until the start and until the end, and the clock's growth over rest."""
    environ = running.environ | {"HUB_CONFIG": str(running.folder / "hub.yaml")}
    hub = create_hub(load_settings(environ), environ)
    weights_mb = [_weight_mb(running)]
    wish = ReplayRequest(Selection(state=DeliveryState.FAILED), str(uuid4()), FASTEST)
    begin_s = time.monotonic()
    with hub.store.write() as connection:
        replay_id = create_replay(
            connection, hub, wish, actor="bench", now=datetime.now(UTC)
        ).replay_id
    started_s = time.monotonic() - begin_s

    def is_done() -> bool:
        weights_mb.append(_weight_mb(running))
        with hub.store.read() as connection:
            state = connection.execute(select(Replay.state).where(Replay.id == replay_id))
            return bool(state.scalar_one() == ReplayState.DONE)

    until(is_done, GIVE_UP_S, "the replay")
    done_s = time.monotonic() - begin_s
    with hub.store.read() as connection:
        due = select(func.count()).where(Delivery.state == DeliveryState.PENDING)
        assert connection.execute(due).scalar_one() == DELIVERIES, "some are not due"
    return started_s, done_s, max(weights_mb) - weights_mb[0]


def _weight_mb(running: RunningHub) -> float:
    return max(resident_mb(running.processes["clock"].pid))
