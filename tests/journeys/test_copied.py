"""Copied database: staging sends nothing of its origin's, and neither hub hears of the other."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import make_url

from hub.gateways.database.migrations import upgrade
from tests.far_end import FarEnd, Reply
from tests.running import RunningHub, stripe_event, until
from tests.stores import PostgresServer

WITHIN_S = 30
REFUSED = 2


class Machines:
    """Hubs in folders of their own, on one Redis and one PostgreSQL or several SQLite files."""

    def __init__(self, folder: Path, store: str, server: PostgresServer, redis_url: str) -> None:
        self.folder = folder
        self._store = store
        self._server = server
        self._redis_url = redis_url
        self.hubs: list[RunningHub] = []

    def make_database(self, *, copy_of: str | None = None) -> str:
        """Make a database and return its address; a copied one may have no connections."""
        if self._store == "sqlite":
            url = f"sqlite:///{self.folder}/{len(self.hubs)}.db"
            if copy_of is not None:
                with sqlite3.connect(make_url(copy_of).database or "") as origin:
                    origin.execute("VACUUM INTO ?", [make_url(url).database])
        else:
            name = self._server.create_database(
                template=make_url(copy_of).database or "" if copy_of else "template1"
            )
            url = self._server.url(name)
        if copy_of is None:
            upgrade(url.replace("postgresql://", "postgresql+psycopg://"))
        return url

    def set_up(self, far_end: FarEnd, url: str) -> RunningHub:
        """Return a hub on a database; its `HUB_PUBLIC_URL` is its own address."""
        folder = self.folder / str(len(self.hubs))
        folder.mkdir()
        hub = RunningHub(
            folder, database_url=url, redis_url=self._redis_url, environ={"FAR_END": far_end.url}
        )
        hub.environ |= {"HUB_PUBLIC_URL": hub.address, "SECRET_KEY": "kqzv8Jx0kq2LmZr5TWb3"}
        self.hubs.append(hub)
        return hub


@pytest.fixture(params=["postgresql", pytest.param("sqlite", marks=pytest.mark.faults)])
def machines(request, tmp_path: Path, postgres_server, redis_url: str) -> Iterator[Machines]:
    machines = Machines(tmp_path, request.param, postgres_server, redis_url)
    yield machines
    for hub in machines.hubs:
        hub.__exit__()


@pytest.fixture
def far_end() -> Iterator[FarEnd]:
    with FarEnd(lambda _: Reply(503)) as far_end:
        yield far_end


def stop(hub: RunningHub) -> None:
    for process in hub.processes.values():
        process.terminate()
    for process in hub.processes.values():
        process.wait(WITHIN_S)
    hub._database.engine.dispose()


def wait_for_work(hub: RunningHub, done: int) -> None:
    until(lambda: len(hub.deliveries(state="succeeded")) == done, WITHIN_S, "the work")


def events_at(far_end: FarEnd) -> list[str]:
    return [one.json["event"] for one in far_end.received]


def test_a_copy_starts_after_a_word_alone_and_sends_after_another(machines, far_end) -> None:
    origin_url = machines.make_database()
    origin = machines.set_up(far_end, origin_url)
    origin.start("web", "worker", "clock")
    assert origin.post(stripe_event("evt_1")) == 200
    until(lambda: origin.deliveries(state="retrying"), WITHIN_S, "a first try")
    stop(origin)
    with FarEnd() as staging_end:
        copy = machines.set_up(staging_end, machines.make_database(copy_of=origin_url))
        for name in ("web", "worker", "clock"):
            said = copy.run(name)
            assert said.returncode == REFUSED
            assert "hub db adopt --as-copy" in said.stderr
        assert copy.cli("db", "adopt", "--as-copy", "--yes")["public_url"] == copy.address
        copy.start("web", "worker", "clock")
        assert copy.post(stripe_event("evt_2")) == 200
        far_end.behave = lambda _: Reply(200)
        origin.start("web", "worker", "clock")
        assert origin.post(stripe_event("evt_3")) == 200
        wait_for_work(origin, 2)
        assert sorted(row["state"] for row in copy.deliveries()) == ["pending", "retrying"]
        assert staging_end.received == []
        assert copy.cli("alerts") == origin.cli("alerts") == []
        copy.run("resume", "ops")
        wait_for_work(copy, 2)
        assert sorted(events_at(staging_end)) == ["evt_1", "evt_2"]
    assert "evt_2" not in events_at(far_end)


def test_two_hubs_on_one_redis_are_not_restored_from_each_other(machines, far_end) -> None:
    far_end.behave = lambda _: Reply(200)
    hubs = [machines.set_up(far_end, machines.make_database()) for _ in range(2)]
    for n in range(3):
        for hub in hubs:
            hub.start("web", "worker", "clock")
            assert hub.post(stripe_event(f"evt_{n}")) == 200
            wait_for_work(hub, n + 1)
            stop(hub)
    for hub in hubs:
        assert hub.cli("alerts") == []
        assert "restored" not in hub.logs()
