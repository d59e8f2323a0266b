"""Watchdog of a worker about to exit: the calls that it waits for, and its recovery."""

import faulthandler
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import pytest

from hub.worker import hang_timer
from hub.worker.watchdog import LONGEST_S, CallStuck, StuckCallWatchdog


@dataclass
class Lane:
    """Lane whose calls have so many seconds left."""

    left_s: dict[UUID, float] = field(default_factory=dict)
    destination: Any = field(default_factory=lambda: type("D", (), {"slug": "ops"}))

    @property
    def in_flight(self) -> dict[UUID, float]:
        return self.left_s

    def stuck(self, now_s: float) -> list[UUID]:
        return [one for one, left_s in self.left_s.items() if left_s <= 0]

    def longest_left_s(self, now_s: float) -> float:
        return max(self.left_s.values(), default=0)


def test_a_worker_goes_on_when_the_stuck_call_has_ended_after_all() -> None:
    stuck, other = uuid4(), uuid4()
    lane, watchdog = Lane({stuck: 0.0, other: 60.0}), StuckCallWatchdog()
    now_s = watchdog._looked_at_s
    watchdog.check([lane], now_s)
    assert watchdog.has_begun
    del lane.left_s[stuck]
    watchdog.check([lane], now_s + 5)
    assert not watchdog.has_begun
    watchdog.check([lane], now_s + LONGEST_S + 5)


def test_a_worker_ends_when_nothing_else_is_worth_waiting_for() -> None:
    lane, watchdog = Lane({uuid4(): 0.0}), StuckCallWatchdog()
    with pytest.raises(CallStuck):
        watchdog.check([lane], watchdog._looked_at_s)


def test_a_timer_that_cannot_be_set_ends_no_drain(monkeypatch) -> None:
    def no_thread(*_: object, **__: object) -> None:
        raise RuntimeError("unable to start watchdog thread")

    monkeypatch.setattr(faulthandler, "dump_traceback_later", no_thread)
    with hang_timer.armed():
        hang_timer.feed()
