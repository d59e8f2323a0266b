"""Provider answers that are rate limited or garbled, through the whole hub."""

import gzip
import re
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from threading import Lock
from urllib.parse import parse_qs

from sqlalchemy import select

from hub.core.models import Delivery, Lane
from tests.far_end import Received, Reply
from tests.faults.hubs import FaultyHub
from tests.journeys.test_texts import CONFIG, NUMBERS
from tests.running import stripe_event, until
from tests.twilio_far_end import TOKEN

EVENTS = 6
WITHIN_S = 60
MB = 1_000_000
HOUR = 3600

ASKED = {
    "soon": "3",
    "hour": str(HOUR),
    "date": "",  # an hour after the answer
    "garbage": "when the moon is full",
    "negative": "-5",
    "years": "99999999999",
}
DESTINATIONS = "".join(
    f'  {name}: {{adapter: http, url: "${{FAR_END}}/{name}", secret: "${{OPS_SECRET}}", '
    "concurrency: 2, retry: {first_delay: 1s}}\n"
    for name in ASKED
)
ROUTES = "".join(
    f"  to-{name}: {{on: payment.succeeded, live: any, do: {name}.post, "
    'with: {body: {event: "{{ event.external_id }}"}}}\n'
    for name in ASKED
)
BUSY_CONFIG = f"""
sources: {{stripe: {{adapter: stripe, secrets: ["${{STRIPE_WEBHOOK_SECRET}}"]}}}}
destinations:
{DESTINATIONS}
routes:
{ROUTES}
"""


def _in_an_hour() -> str:
    return format_datetime(datetime.now(UTC) + timedelta(hours=1)).replace("+0000", "GMT")


class Busy:
    """Far end that answers 429 to the first two calls of each path."""

    def __init__(self) -> None:
        self._refused: dict[str, int] = {}
        self._lock = Lock()

    def behave(self, call: Received) -> Reply:
        name = call.path.strip("/")
        with self._lock:
            self._refused[name] = self._refused.get(name, 0) + 1
            if self._refused[name] <= 2:
                return Reply(429, b"{}", {"Retry-After": ASKED[name] or _in_an_hour()})
        return Reply()


def test_a_destination_that_asks_to_wait_is_obeyed_within_bounds(
    postgresql_url, redis_url, make_hub, far_end
):
    """F37 429 with Retry-After"""
    far_end.behave = Busy().behave
    hub = make_hub(postgresql_url, redis_url, hurry=True, config=BUSY_CONFIG)
    hub.start("web", "worker", "clock")
    began_at = datetime.now(UTC)
    for n in range(EVENTS):
        assert hub.post(stripe_event(f"evt_{n}")) == 200
    quick = ("soon", "garbage", "negative")
    until(
        lambda: sum(one["state"] == "succeeded" for one in hub.deliveries()) == EVENTS * len(quick),
        WITHIN_S,
        "those that asked for little to be done",
    )
    with hub._database.read() as connection:
        lanes = {row.destination: row for row in connection.execute(select(Lane.__table__))}
        retries = connection.execute(
            select(Delivery.destination, Delivery.next_attempt_at, Delivery.attempts).where(
                Delivery.state == "retrying"
            )
        ).all()
    times = {name: times_of(far_end.received, name) for name in ASKED}
    assert times["soon"][2] - times["soon"][0] >= 2.9, "none came back too early"
    assert all(len(times[name]) == EVENTS + 2 for name in quick), "nor once too often"
    for name, least_s, most_s in (("hour", HOUR, HOUR), ("date", 0.95 * HOUR, HOUR), LONGEST):
        assert len(times[name]) <= 2, f"{name}: the others of the lane wait too"
        blocked_s = (lanes[name].blocked_until - began_at).total_seconds()
        assert least_s <= blocked_s <= most_s + WITHIN_S
        due_s = [
            (row.next_attempt_at - began_at).total_seconds()
            for row in retries
            if row.destination == name
        ]
        assert due_s
        assert all(least_s <= one <= most_s * 1.1 + WITHIN_S for one in due_s)
        assert len(set(due_s)) == len(due_s), "those who were asked together do not come together"


LONGEST = ("years", 6 * HOUR, 6 * HOUR)


def times_of(received: list[Received], name: str) -> list[float]:
    return [one.at_s for one in list(received) if one.path == f"/{name}"]


WRONG = [
    Reply(201, b"<html>created</html>", {"Content-Type": "text/html"}),
    Reply(201, b"", {"Content-Type": "application/json"}),
    Reply(201, b'{"sid": "SM0123", "sta', {"Content-Type": "application/json"}),
    Reply(201, b"x" * 100 * MB, {"Content-Type": "application/json"}),
    Reply(
        201,
        gzip.compress(b"x" * 100 * MB, 1),
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
    ),
    Reply(201, b"[" * MB, {"Content-Type": "application/json"}),
]


def peak_mb(pid: int) -> float:
    """Return the peak memory of a process, in megabytes."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found[1]) / 1000


SMALL, LARGE = (0, 1, 2, 5), (3, 4)
# Fewer than the ten failures in a row that open the circuit.
EACH_ONCE = len(SMALL) + 2 * len(LARGE)


def send_all(hub: FaultyHub, name: str, wrong: tuple[int, ...]) -> None:
    """Send one event for each of these wrong answers."""
    for n, which in enumerate(wrong):
        body = stripe_event(f"evt_{name}_{n}", metadata={"to": NUMBERS[which]})
        assert hub.post(body) == 200


def wait_for_unknown(hub: FaultyHub, count: int) -> None:
    states = ["unknown"] * count
    until(
        lambda: [one["state"] for one in hub.deliveries()] == states, WITHIN_S, "all to be unknown"
    )


def test_an_answer_that_cannot_be_read_leaves_a_text_unknown_and_memory_bounded(
    postgresql_url, redis_url, make_hub, far_end
):
    """F39 201 with HTML, nothing, torn JSON, 100 MB"""

    def behave(call: Received) -> Reply:
        if call.method != "POST":
            return Reply(503)
        return WRONG[NUMBERS.index(parse_qs(call.body.decode())["To"][0])]

    far_end.behave = behave
    hub = make_hub(
        postgresql_url, redis_url, hurry=True, config=CONFIG,
        environ={"TWILIO_AUTH_TOKEN": TOKEN, "HUB_PUBLIC_URL": "http://127.0.0.1:1"},
    )  # fmt: skip
    hub.environ["HUB_PUBLIC_URL"] = hub.address
    hub.start("web", "worker", "clock")
    worker = hub.processes["worker"].pid
    send_all(hub, "small", SMALL)
    wait_for_unknown(hub, len(SMALL))
    before = peak_mb(worker)
    send_all(hub, "large", LARGE * 2)
    wait_for_unknown(hub, len(SMALL) + 2 * len(LARGE))
    assert peak_mb(worker) - before < 25, "four answers of 100 MB, and no more than 1 MiB of each"
    assert len([one for one in far_end.received if one.method == "POST"]) == EACH_ONCE
