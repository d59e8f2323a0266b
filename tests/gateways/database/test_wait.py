"""Waiting for a database that comes back, and work that is done again over a new connection."""

import logging
from collections.abc import Callable
from threading import Event

import pytest
from sqlalchemy.exc import DBAPIError, OperationalError

from hub.gateways.database.engine import open_database
from hub.gateways.database.wait import (
    PATIENCE_S,
    NotReady,
    once_more,
    wait_for_store,
    wait_until_ready,
)

READY = "ready"
GONE = open_database("postgresql+psycopg://nobody:secret@127.0.0.1:1/none")


class Stop(Event):
    """Event that notes how long it was waited for, and is set after so many waits."""

    def __init__(self, after: int = 1_000_000) -> None:
        super().__init__()
        self.pauses: list[float] = []
        self._after = after

    def wait(self, timeout: float | None = None) -> bool:
        self.pauses.append(timeout or 0)
        if len(self.pauses) >= self._after:
            self.set()
        return self.is_set()


def failing(times: int, error: Exception) -> Callable[[], str]:
    left = [error] * times

    def work() -> str:
        if left:
            raise left.pop()
        return READY

    return work


def lost(*, dead: bool) -> DBAPIError:
    return OperationalError("SELECT 1", {}, Exception("no"), connection_invalidated=dead)


def test_a_database_is_waited_for_until_it_is_ready(caplog) -> None:
    stop = Stop()
    with caplog.at_level(logging.WARNING):
        assert wait_until_ready(failing(40, NotReady("run `hub db upgrade`")), stop) == READY
    assert len(stop.pauses) == 40
    assert max(stop.pauses) <= 5
    said = "the database is not ready (run `hub db upgrade`); retrying shortly"
    assert caplog.messages == [said] * 40


def test_nobody_waits_on_after_the_process_is_to_stop() -> None:
    stop = Stop(after=3)
    assert wait_until_ready(failing(40, NotReady("busy")), stop) is None
    assert len(stop.pauses) == 3


def test_a_defect_is_not_waited_out() -> None:
    stop = Stop()
    with pytest.raises(LookupError):
        wait_until_ready(failing(1, LookupError("a defect")), stop)
    assert stop.pauses == []


def test_a_database_that_answers_is_not_waited_for(database_url) -> None:
    database, stop = open_database(database_url, pool_size=1), Stop()
    assert wait_for_store(database, stop)
    assert stop.pauses == []
    database.engine.dispose()


def test_a_database_that_is_gone_is_asked_again_until_the_process_is_to_stop() -> None:
    stop = Stop(after=5)
    assert not wait_for_store(GONE, stop)
    assert len(stop.pauses) == 5
    assert max(stop.pauses) < PATIENCE_S


def test_work_is_done_once_more_over_a_connection_that_is_alive() -> None:
    once_more(failing(1, lost(dead=True)))
    with pytest.raises(OperationalError):
        once_more(failing(2, lost(dead=True)))
    with pytest.raises(OperationalError):
        once_more(failing(1, lost(dead=False)))
    with pytest.raises(LookupError):
        once_more(failing(1, LookupError("a defect")))
    assert once_more(lambda one, two: one + two, 1, two=2) == 3
