"""Rate limits, circuits and retry budgets outlast one drain, and all workers share them."""

import threading

from hub.core.models import Delivery, Lane, database_later
from hub.worker.lane import RateLimiter
from tests.engine.stage import (
    days_ago,
    eventually,
    has_started_first,
    keyed,
    noted_starts_s,
    once,
    shortest_span_s,
)
from tests.far_end import Reply

UNSENDABLE = """
destinations: {ops: {adapter: http, url: "${FAR_END}/ops", secret: "${OPS_SECRET}"}}
routes:
  all:
    on: payment.succeeded
    do: ops.post
    with: {path: "{{ event.external_id }}?x", body: {}}
"""


def test_a_rate_outlives_the_drains_of_a_worker(stage) -> None:
    worker = stage.worker_context(keyed("rate: 2/30s"))
    for n in range(6):
        stage.put(worker, f"evt_{n}")
        stage.drain(worker)
    assert len(stage.far_end.received) == 2
    assert sorted(row.state for row in stage.deliveries) == ["pending"] * 4 + ["succeeded"] * 2


def test_a_rate_lets_everything_out_in_its_time(sqlite_stage, monkeypatch) -> None:
    """Whatever the machine does: at two a second, waits for the rate are two seconds at most."""
    waits_s: dict[int, float] = {}
    starts_s = noted_starts_s(monkeypatch)
    wait_s = RateLimiter.wait_s

    def noted_wait_s(limiter: RateLimiter, now_s: float) -> float:
        begun = len(starts_s)
        waits_s[begun] = max(waits_s.get(begun, 0.0), wait_s(limiter, now_s))
        return wait_s(limiter, now_s)

    monkeypatch.setattr(RateLimiter, "wait_s", noted_wait_s)
    worker = sqlite_stage.worker_context(keyed("rate: 2/1s"))
    for n in range(6):
        sqlite_stage.put(worker, f"evt_{n}")
        sqlite_stage.drain(worker)
    sqlite_stage.drain(worker)
    assert len(starts_s) == 6
    assert has_started_first(starts_s, sqlite_stage.far_end)
    assert shortest_span_s(starts_s, 2) > 0.999_999
    # Calls 3 and 4 wait for the first two, 5 and 6 for those: a second for each pair, together.
    assert sum(wait for begun, wait in waits_s.items() if begun < 6) < 2.001


def test_two_workers_by_turns_keep_the_rate_together(stage) -> None:
    shops = [stage.worker_context(keyed("rate: 2/30s")) for _ in range(2)]
    for n in range(6):
        stage.put(shops[0], f"evt_{n}")
        stage.drain(shops[n % 2])
    assert len(stage.far_end.received) == 2


def test_two_workers_at_once_keep_the_rate_together(postgresql_stage, monkeypatch) -> None:
    stage, starts_s = postgresql_stage, noted_starts_s(monkeypatch)
    shops = [stage.worker_context(keyed("rate: 3/1s")) for _ in range(2)]
    stage.put(shops[0], *(f"evt_{n}" for n in range(10)))
    done = threading.Event()

    def work(worker) -> None:
        while not done.wait(0.05):
            stage.drain(worker)

    threads = [threading.Thread(target=work, args=(worker,)) for worker in shops]
    for thread in threads:
        thread.start()
    try:
        eventually(lambda: len(stage.far_end.received) == 10, 15)
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert has_started_first(starts_s, stage.far_end)
    assert shortest_span_s(starts_s, 3) > 0.99  # a lane goes from one to the other by SQL's clock
    assert {row.state for row in stage.deliveries} == {"succeeded"}


def test_ten_failures_in_a_row_open_the_circuit_though_each_has_a_drain_of_its_own(stage) -> None:
    shops = [stage.worker_context(keyed("retry: {first_delay: 1h}")) for _ in range(2)]
    stage.far_end.behave = lambda _: Reply(503)
    for n in range(15):
        stage.put(shops[0], f"evt_{n}")
        stage.drain(shops[n % 2])
    assert len(stage.far_end.received) == 10
    assert stage.lane.setbacks == 1
    assert stage.lane.blocked_until is not None
    assert "does not answer" in stage.lane.blocked_reason


def test_one_success_lets_the_circuit_count_anew(stage) -> None:
    worker = stage.worker_context(keyed("retry: {first_delay: 1h}"))
    for n in range(12):
        reply = Reply(200 if n == 6 else 503)
        stage.far_end.behave = lambda _, reply=reply: reply
        stage.put(worker, f"evt_{n}")
        stage.drain(worker)
    assert (stage.lane.setbacks, stage.lane.blocked_until) == (0, None)
    assert len(stage.far_end.received) >= 12


def test_a_call_that_was_never_sent_says_nothing_about_the_destination(stage) -> None:
    worker = stage.worker_context(UNSENDABLE)
    stage.change(Lane, setbacks=3, blocked_until=database_later(-1.0), blocked_reason="down")
    stage.put(worker, "evt_1")
    stage.drain(worker)
    assert (stage.delivery.state, stage.delivery.error[:9]) == ("failed", "not sent:")
    assert stage.far_end.received == []
    assert (stage.lane.setbacks, stage.lane.blocked_reason) == (3, "down")


def test_an_answer_lifts_the_block(stage) -> None:
    worker = stage.worker_context(once())
    stage.change(Lane, setbacks=3, blocked_until=database_later(-1.0), blocked_reason="down")
    stage.put(worker, "evt_1")
    stage.drain(worker)
    assert (stage.lane.setbacks, stage.lane.blocked_reason) == (0, None)


def test_how_long_it_has_been_tried_is_counted_from_the_first_try(stage) -> None:
    worker = stage.worker_context(keyed().replace("do: ops.post", "delay: 4d, do: ops.post"))
    stage.far_end.behave = lambda _: Reply(503)
    stage.put(worker, "evt_1")
    assert stage.delivery.state == "waiting"
    stage.change(
        Delivery, since=days_ago(4), created_at=days_ago(4), next_attempt_at=days_ago(0.001)
    )
    stage.drain(worker)
    assert (stage.delivery.state, stage.delivery.tries) == ("retrying", 1)
    assert stage.delivery.since > days_ago(0.1)
    stage.change(Delivery, since=days_ago(4))
    stage.make_due()
    stage.drain(worker)
    assert stage.delivery.state == "failed"
    assert stage.delivery.error.startswith("gave up after 72 h")
