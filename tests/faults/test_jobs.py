"""Jobs in Redis that are doubled, broken or hostile: they wake the worker, and run nothing else."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import redis
from rq import Queue
from rq.serializers import JSONSerializer

from hub.gateways.redis_queue import SYNC
from tests.faults.hubs import KEYED_AND_ONCE
from tests.faults.load import Sender
from tests.running import until

POISON = """
sources: {stripe: {adapter: stripe, secrets: ["${STRIPE_WEBHOOK_SECRET}"]}}
destinations:
  bad: {adapter: http, url: "${FAR_END}/bad", secret: "${OPS_SECRET}"}
  ops: {adapter: http, url: "${FAR_END}/hook", secret: "${OPS_SECRET}"}
routes:
  poison: {on: "*", live: any, do: bad.post, with: {body: {name: "{{ data.metadata.nobody }}"}}}
  poison-too: {on: "*", live: any, do: ops.post, with: {body: {name: "{{ 1 // 0 }}"}}}
  all-to-ops:
    {on: "*", live: any, do: ops.post, with: {body: {event: "{{ event.external_id }}"}}}
"""

ANOTHER_ADAPTER = """
sources: {stripe: {adapter: stripe, secrets: ["${STRIPE_WEBHOOK_SECRET}"]}}
destinations:
  ops: {adapter: hubspot, token: pat-for-tests, base_url: "${FAR_END}"}
  chat: {adapter: slack, url: "${FAR_END}/slack", timeout: 5s}
routes:
  all-to-ops: {on: "*", live: any, do: ops.upsert_contact, with: {email: "a@example.org"}}
  all-to-chat:
    {on: "*", live: any, do: chat.post, with: {text: "{{ event.external_id }}"}}
"""


def test_50_wake_ups_for_one_delivery_are_one_call(
    postgresql_url, redis_url, make_hub, far_end, fault
):
    """F21 one job, 50 times"""
    hub = make_hub(postgresql_url, redis_url, hurry=True)
    hub.start("web")
    sender = Sender(hub)
    assert sender.send("evt_1") == 200
    with redis.Redis.from_url(redis_url) as client:
        queue = Queue(hub.queue_name("ops"), connection=client, serializer=JSONSerializer)
        for _ in range(50):
            queue.enqueue(SYNC, "ops")
        fault.is_over()
        hub.start("worker", "worker-2")
        until(lambda: queue.count == 0, 30, "the queue to be empty")
    fault.check(postgresql_url, far_end, sender)
    assert len(far_end.received) == 1
    assert hub.cli("deliveries")[0]["attempts"] == 1


def test_corrupt_jobs_cost_nothing_but_themselves(
    postgresql_url, redis_url, make_hub, far_end, fault
):
    """F23 corrupt job data"""
    hub = make_hub(postgresql_url, redis_url, hurry=True)
    hub.start("web")
    sender = Sender(hub)
    assert sender.send("evt_1") == 200
    with redis.Redis.from_url(redis_url) as client:
        until(lambda: client.keys("rq:job:*"), 10, "the wake-up")
        for job in client.keys("rq:job:*"):
            client.hset(job, "data", "garbage")
        queue = f"rq:queue:{hub.queue_name('ops')}"
        client.rpush(queue, "no-such-job")
        client.hset("rq:job:half", mapping={"data": b"\x80\x05}\x94.", "status": "queued"})
        client.rpush(queue, "half")
        fault.is_over()
        hub.start("worker", "clock")
        fault.check(postgresql_url, far_end, sender)
    assert not hub.died("worker")


def test_a_job_that_names_another_function_runs_nothing(
    postgresql_url, redis_url, make_hub, far_end, fault
):
    """S38 a job that names os.system"""
    hub = make_hub(postgresql_url, redis_url, hurry=True)
    traces = [hub.folder / f"run-{n}" for n in range(5)]
    with redis.Redis.from_url(redis_url) as client:
        name = hub.queue_name("ops")
        listed = Queue(name, connection=client, serializer=JSONSerializer)
        hostile = [
            listed.enqueue("os.system", f"touch {traces[0]}"),
            Queue(name, connection=client).enqueue("os.system", f"touch {traces[1]}"),
            listed.enqueue(SYNC, f"touch {traces[2]}"),
            listed.enqueue("hub.worker.drain.sync", "ops"),
            listed.enqueue("subprocess.run", kwargs={"args": ["touch", str(traces[3])]}),
        ]
        hub.start("web", "worker", "clock")
        until(lambda: listed.count == 0, 20, "the queue to be empty")
        sender = Sender(hub)
        assert sender.send("evt_1") == 200
        fault.is_over()
        fault.check(postgresql_url, far_end, sender)
        states = {job.get_status(refresh=True).value for job in hostile}
    assert states == {"failed"}
    assert not [trace for trace in traces if Path(trace).exists()]
    assert not hub.died("worker")


def test_a_delivery_that_cannot_be_made_fails_alone(
    postgresql_url, redis_url, make_hub, far_end, fault
):
    """F22 poison deliveries"""
    hub = make_hub(postgresql_url, redis_url, hurry=True, config=POISON)
    hub.start("web", "worker", "clock")
    sender = Sender(hub)
    for n in range(3):
        assert sender.send(f"evt_{n}") == 200
    fault.is_over()
    fault.check(postgresql_url, far_end, sender)
    failed = hub.cli("deliveries", "--state", "failed")
    assert {row["route"] for row in failed} == {"poison", "poison-too"}
    assert all(row["error"] for row in failed)


def test_calls_left_open_do_not_stop_a_lane_that_has_another_adapter_now(
    postgresql_url, redis_url, make_hub, far_end, fault
):
    """F22 an orphan whose action is gone"""
    hub = make_hub(
        postgresql_url, redis_url, die_at="worker.in_call", hurry=True, config=KEYED_AND_ONCE
    )
    hub.start("web", "worker", "clock")
    sender = Sender(hub)
    assert sender.send("evt_1") == 200
    until(lambda: hub.died("worker"), 20, "the death")
    for name in ("web", "clock"):
        hub.kill(name)
    (hub.folder / "hub.yaml").write_text(ANOTHER_ADAPTER)
    fault.is_over()
    hub.start("web", "worker", "clock")
    assert sender.send("evt_2") == 200
    contacts = lambda: [one for one in far_end.received if "/contacts/" in one.path]  # noqa: E731
    until(contacts, 20, "the lane to go on with its new adapter")
    until(
        lambda: not hub.cli("deliveries", "--state", "running"), 20, "the call that was left open"
    )


def test_50_identical_webhooks_at_once_are_one_call(
    postgresql_url, redis_url, make_hub, far_end, fault
):
    """F32 50 at once"""
    hub = make_hub(postgresql_url, redis_url, hurry=True, environ={"WEB_CONCURRENCY": "2"})
    hub.start("web", "worker", "clock")
    sender = Sender(hub)
    with ThreadPoolExecutor(50) as pool:
        assert list(pool.map(sender.send, ["evt_1"] * 50)) == [200] * 50
    fault.is_over()
    fault.check(postgresql_url, far_end, sender)
    assert len(far_end.received) == 1
    assert hub.cli("events")[0]["duplicates"] == 49
