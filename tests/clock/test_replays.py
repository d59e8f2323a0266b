"""Clock duty that advances replays: all of them get a turn, and one failure stops no other."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.exc import DBAPIError, OperationalError, ProgrammingError

from hub.clock import replays
from hub.clock.replays import ReplayTask, release_all_batches
from hub.core.models import Delivery, Replay, ReplayState, database_later
from hub.core.replays.advance import release_batch as let_go_really
from hub.core.replays.create import ReplayRequest, create_replay
from hub.core.replays.selection import Selection
from hub.gateways.database.engine import open_database
from tests.core.making import Town, route
from tests.running import until


class Bell:
    rung = 0

    def wake(self, destinations: Any = None) -> None:
        self.rung += 1


@dataclass
class Hub(Town):
    """Test hub with a store."""

    store: Any = None
    waker: Any = None


@pytest.fixture
def hub(database_url):
    database = open_database(database_url, pool_size=4)
    hub = Hub(routes=[route("a"), route("b", destination="crm")], destinations=["ops", "crm"])
    hub.store, hub.waker = database, Bell()
    with database.write() as connection:
        hub.take_in(connection, *({"id": f"e{n}"} for n in range(150)))
        connection.execute(update(Delivery).values(state="failed"))
        for n, destination in enumerate(("ops", "crm")):
            wish = ReplayRequest(Selection(destination=destination), f"form-{n}", 600_000)
            create_replay(connection, hub, wish, actor="user:jane", now=datetime.now(UTC))
        connection.execute(update(Replay).values(paid_until=database_later(-60)))
    yield hub
    database.engine.dispose()


def pending(hub, destination: str) -> int:
    with hub.store.read() as connection:
        return connection.execute(
            select(func.count()).where(
                Delivery.destination == destination, Delivery.state == "pending"
            )
        ).scalar_one()


def test_each_replay_has_its_turn_until_all_is_let_go(hub, monkeypatch) -> None:
    monkeypatch.setattr(replays, "LONGEST_S", 60.0)
    monkeypatch.setattr(replays, "AT_ONCE", 100)
    assert release_all_batches(hub) == 2
    assert (pending(hub, "ops"), pending(hub, "crm")) == (150, 150)
    assert hub.waker.rung >= 4
    release_all_batches(hub)
    assert release_all_batches(hub) == 0


def test_it_goes_on_by_itself_and_ends(hub, monkeypatch) -> None:
    monkeypatch.setattr(replays, "EVERY_S", 0.01)
    clock = ReplayTask(hub)
    clock.start_if_idle()
    clock.start_if_idle()

    def ended() -> bool:
        with hub.store.read() as connection:
            states = connection.execute(select(Replay.state)).scalars().all()
        return states == [ReplayState.DONE] * 2

    until(ended, 20, "both to end")
    clock._thread.join(10)
    assert not clock._thread.is_alive()


def test_a_replay_that_cannot_be_let_go_stops_no_other(hub, monkeypatch) -> None:
    with hub.store.read() as connection:
        first = connection.execute(select(func.min(Replay.token))).scalar_one()
        poison = connection.execute(select(Replay.id).where(Replay.token == first)).scalar_one()

    def let_go(connection, hub, replay_id, **given):
        if replay_id == poison:
            raise ProgrammingError("SELECT", {}, Exception("a poison row"))
        return let_go_really(connection, hub, replay_id, **given)

    monkeypatch.setattr(replays, "release_batch", let_go)
    monkeypatch.setattr(replays, "LONGEST_S", 60.0)
    release_all_batches(hub)
    assert (pending(hub, "ops"), pending(hub, "crm")) == (0, 150)


def test_when_the_database_is_gone_it_waits(hub, monkeypatch, caplog) -> None:
    def gone(*_: Any, **__: Any) -> None:
        raise OperationalError("SELECT", {}, type("OperationalError", (Exception,), {})("gone"))

    monkeypatch.setattr(replays, "release_batch", gone)
    with pytest.raises(DBAPIError):
        release_all_batches(hub)
    ReplayTask(hub).run_once()
    assert "replays wait: the database" in caplog.text
