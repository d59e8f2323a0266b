"""Queues as an operator sees them: one for each destination, of each of several hubs on a Redis."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest

from tests.far_end import FarEnd, Received, Reply
from tests.running import RunningHub, stripe_event, until

# `chat` has no key and no look-up: an alert "restored" would leave it unknown for days.
TWO_LANES = """
site: {name: Acme Roofing}
sources: {stripe: {adapter: stripe, secrets: ["${STRIPE_WEBHOOK_SECRET}"]}}
destinations:
  crm: {adapter: http, url: "${FAR_END}/crm", secret: "${OPS_SECRET}"}
  chat: {adapter: slack, url: "${FAR_END}/chat"}
routes:
  to-crm: {on: "*", live: any, do: crm.post, with: {body: {event: "{{ event.external_id }}"}}}
  to-chat: {on: "*", live: any, do: chat.post, with: {text: "{{ event.external_id }}"}}
"""
COUNT = 100
WITHIN_S = 60


@pytest.fixture
def held():
    """Return an event that the far end's `/crm` waits for."""
    held = Event()
    yield held
    held.set()


@pytest.fixture
def far_end(held):
    def answer(call: Received) -> Reply:
        if call.path == "/crm":
            held.wait(30)
        return Reply(200, b"ok")

    with FarEnd(answer) as far_end:
        yield far_end


def made(folder: Path, url: str, redis_url: str, far_end: FarEnd) -> RunningHub:
    folder.mkdir()
    return RunningHub(
        folder,
        database_url=url,
        redis_url=redis_url,
        config=TWO_LANES,
        environ={"FAR_END": far_end.url},
    )


def rq_info(redis_url: str, *options: str) -> str:
    """Return what RQ's own command prints about the queues and workers on a Redis."""
    command = [str(Path(sys.executable).with_name("rq")), "info", "--url", redis_url, "--raw"]
    done = subprocess.run([*command, *options], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_workers_of_named_destinations_serve_these_and_rq_shows_who_waits(
    tmp_path, postgresql_url, redis_url, far_end, held
) -> None:
    with made(tmp_path / "hub", postgresql_url, redis_url, far_end) as hub:
        hub.start("web", "worker crm", "clock")
        crm, chat = hub.queue_name("crm", "Acme Roofing"), hub.queue_name("chat", "Acme Roofing")
        assert hub.post(stripe_event("evt_1")) == 200
        until(lambda: far_end.received, WITHIN_S, "the call of the CRM")
        until(lambda: f"queue {chat} 1" in rq_info(redis_url), WITHIN_S, "the job that waits")
        [worker] = [line for line in rq_info(redis_url).splitlines() if line.startswith("worker ")]
        assert crm in worker
        assert "busy" in worker
        assert chat not in worker
        assert [one.path for one in far_end.received] == ["/crm"]
        held.set()
        hub.start("worker chat events")
        until(
            lambda: {row["state"] for row in hub.deliveries()} == {"succeeded"},
            WITHIN_S,
            "both deliveries",
        )
        assert sorted(one.path for one in far_end.received) == ["/chat", "/crm"]


def test_a_worker_is_told_which_destinations_there_are(
    tmp_path, sqlite_url, redis_url, far_end
) -> None:
    with made(tmp_path / "hub", sqlite_url, redis_url, far_end) as hub:
        done = hub.run("worker", "crm", "sms")
    assert done.returncode == 2
    assert "there is no destination sms that is enabled; a worker can serve crm, chat, events" in (
        done.stderr
    )


def test_two_hubs_on_one_redis_deliver_all_and_neither_takes_the_other_for_restored(
    tmp_path, postgresql_url, sqlite_url, redis_url, far_end, held
) -> None:
    held.set()
    urls = {"a": postgresql_url, "b": sqlite_url}
    hubs = {name: made(tmp_path / name, url, redis_url, far_end) for name, url in urls.items()}
    try:
        for hub in hubs.values():
            hub.start("web", "worker", "clock")
        sent = [(hub, f"evt_{name}_{n}") for n in range(COUNT) for name, hub in hubs.items()]
        with ThreadPoolExecutor(8) as pool:
            statuses = list(pool.map(lambda one: one[0].post(stripe_event(one[1])), sent))
        assert set(statuses) == {200}
        for hub in hubs.values():
            done = lambda hub=hub: len(hub.deliveries(state="succeeded"))  # noqa: E731
            until(lambda done=done: done() == 2 * COUNT, WITHIN_S, "all deliveries")
        for hub in hubs.values():  # more drains and sweeps, each of which reads its mark
            assert hub.post(stripe_event("evt_last")) == 200
            until(
                lambda hub=hub: len(hub.deliveries(state="succeeded")) == 2 * COUNT + 2,
                WITHIN_S,
                "the last ones",
            )
            assert hub.cli("alerts") == []
            assert hub.cli("unknown") == []
    finally:
        for hub in hubs.values():
            hub.__exit__()
    texts = [one.body for one in far_end.received if one.path == "/chat"]
    assert len(texts) == len(far_end.received) / 2 == 2 * COUNT + 2
    assert len({text for text in texts if b"evt_last" not in text}) == 2 * COUNT
