"""Worker whose Redis goes away while it waits for work."""

from hub.worker.rq_worker import WITHOUT_REDIS_EVERY_S
from tests.running import PLAIN, RunningHub, stripe_event, until
from tests.stores import RedisServer


def test_an_idle_worker_whose_redis_dies_delivers_and_uses_it_again_when_it_is_back(
    tmp_path, postgresql_url, store_folder, far_end
) -> None:
    redis = RedisServer(store_folder)
    redis.start()
    with RunningHub(
        tmp_path,
        database_url=postgresql_url,
        redis_url=redis.url,
        config=PLAIN,
        environ={"FAR_END": far_end.url},
    ) as hub:
        hub.start("worker", "web")
        assert hub.post(stripe_event("evt_1")) == 200
        until(lambda: len(far_end.received) == 1, 20, "the first call")
        with redis.client() as client:
            until(lambda: _is_idle(client), 10, "an idle worker")
        redis.kill()
        assert hub.post(stripe_event("evt_2")) == 200
        until(lambda: len(far_end.received) == 2, 30, "a call without Redis")
        assert "working from the database alone" in hub.logs()
        redis.start()
        until(lambda: "Redis is back" in hub.logs(), 20 * WITHOUT_REDIS_EVERY_S, "Redis to be used")
        assert hub.post(stripe_event("evt_3")) == 200
        until(lambda: len(far_end.received) == 3, 10, "a call with Redis")
        assert "Traceback" not in hub.logs()
    redis.stop()


def _is_idle(client) -> bool:
    """Return whether a worker waits for a job, and there is none that it is about to begin."""
    return b"idle" in _states(client) and not client.keys("rq:job:*")


def _states(client) -> list[bytes | None]:
    return [client.hget(key, "state") for key in client.keys("rq:worker:*")]
