"""Benchmark row 1: durable ingest of signed 6 kB Stripe events with three deliveries each.

Sender, connections, server processes and threads are the same for all subjects; all run in turn
in each round, and each round starts with a different one. Events answered with 2xx are counted
in the database afterwards.
"""

from collections.abc import Callable

import psycopg

from tests.bench import floor, plain
from tests.bench.load import Pressed, Webhooks, press
from tests.bench.report import Row, Target, in_turn
from tests.bench.stage import Stage, served

WARM_UP = 600
# More than any subject takes; the requests left over are discarded.
PRESIGNED_PER_S = 8000

CONFIG = """
sources: {stripe: {adapter: stripe, secrets: ["${STRIPE_WEBHOOK_SECRET}"]}}
destinations:
  ops: {adapter: http, url: "http://127.0.0.1:1/hook", secret: "${OPS_SECRET}"}
routes:
""" + "".join(
    f"""  {name}:
    on: "payment.*"
    live: any
    do: ops.post
    with: {{body: {{event: "{{{{ event.external_id }}}}", amount: "{{{{ data.amount }}}}"}}}}
"""
    for name in ("one", "two", "three")
)


def measure(stage: Stage, *, rounds: int, seconds: float) -> Row:
    """Return the rates of the hub, of the floor on both servers, and of the plain version."""
    row = Row("ingest")
    subjects: dict[str, Callable[[], Pressed]] = {
        "floor, gunicorn": lambda: _floor(stage, "gunicorn", seconds),
        "floor, granian": lambda: _floor(stage, "granian", seconds),
        "hub": lambda: _hub(stage, seconds),
        "hub, wsgi.py on gunicorn": lambda: _wsgi(stage, seconds),
        "plain, gunicorn": lambda: _plain(stage, seconds),
    }
    for number in range(rounds):
        pressed = in_turn(subjects, number)
        rates = {name: pressed[name].per_s for name in subjects}
        for name, rate in rates.items():
            row.add(name, "/s", rate)
        floor_rate = max(rates["floor, gunicorn"], rates["floor, granian"])
        row.add("hub ÷ faster floor", "×", rates["hub"] / floor_rate, Target(0.65))
        plain_ratio = rates["hub"] / rates["plain, gunicorn"]
        row.add("hub ÷ plain", "×", plain_ratio, Target(8))
        row.add("hub: p99", "ms", pressed["hub"].quantile_ms(99))
    return row


def _floor(stage: Stage, server: str, seconds: float) -> Pressed:
    with stage.database(empty=True) as url:
        with psycopg.connect(url) as connection:
            connection.execute(floor.TABLE)
        environ = {"DATABASE_URL": url}
        with served("tests.bench.floor:app", server, environ, stage.folder) as port:
            return _pressed(port, seconds, url, "floor")


def _plain(stage: Stage, seconds: float) -> Pressed:
    with stage.database(empty=True) as url:
        plain.create_tables(url)
        environ = {"DATABASE_URL": url, "REDIS_URL": stage.redis.url}
        app = "tests.bench.plain:create_app()"
        with served(app, "gunicorn", environ, stage.folder) as port:
            return _pressed(port, seconds, url, "plain_event", "plain_delivery")


def _hub(stage: Stage, seconds: float) -> Pressed:
    with stage.hub(CONFIG) as hub:
        hub.start("web")
        return _pressed(hub.port, seconds, hub.environ["DATABASE_URL"], "events", "deliveries")


def _wsgi(stage: Stage, seconds: float) -> Pressed:
    with stage.hub(CONFIG) as hub:
        url = hub.environ["DATABASE_URL"]
        with served("wsgi:app", "gunicorn", hub.environ, hub.folder) as port:
            return _pressed(port, seconds, url, "events", "deliveries")


def _pressed(port: int, seconds: float, url: str, events: str, deliveries: str = "") -> Pressed:
    webhooks = Webhooks("bench")
    warm_up = press(port, webhooks.requests(WARM_UP), seconds=seconds)
    ready = webhooks.requests(int(PRESIGNED_PER_S * seconds))
    pressed = press(port, ready, seconds=seconds)
    accepted = warm_up.accepted + pressed.accepted
    assert not warm_up.refused + pressed.refused, "some webhooks were refused"
    with psycopg.connect(url) as connection:
        assert _count(connection, events) == accepted, "answered, and not in the database"
        if deliveries:
            assert _count(connection, deliveries) == 3 * accepted, "deliveries are missing"
    return pressed


def _count(connection: psycopg.Connection, table: str) -> int:
    found = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
    assert found is not None
    return int(found[0])
