"""Isolation of suspected poison deliveries: turns of lanes whose calls must run alone."""

from dataclasses import dataclass, field
from typing import Any

from hub.worker.isolation import TURN_S, PoisonIsolation


@dataclass
class Lane:
    suspects: bool = False
    in_flight: dict[str, float] = field(default_factory=dict)
    open: bool = True

    def may_call(self, _: float) -> bool:
        return self.open


def turns(alone: PoisonIsolation, lanes: list[Any], now_s: float) -> Any:
    return alone.current_lane(lanes, now_s)


def test_without_suspects_all_may_call() -> None:
    assert turns(PoisonIsolation(), [Lane(), Lane(in_flight={"a": 1})], 0) is None


def test_a_lane_with_a_suspect_waits_for_the_others_and_they_for_it() -> None:
    alone, busy, lane = PoisonIsolation(), Lane(in_flight={"a": 1}), Lane(suspects=True)
    assert turns(alone, [busy, lane], 0) is lane
    busy.in_flight = {}
    assert turns(alone, [busy, lane], 1) is lane
    alone.started(1)
    lane.in_flight, lane.suspects = {"b": 1}, False
    assert turns(alone, [busy, lane], 100) is lane
    lane.in_flight = {}
    assert turns(alone, [busy, lane], 100) is None


def test_a_lane_that_may_not_call_holds_nobody_up() -> None:
    assert turns(PoisonIsolation(), [Lane(suspects=True, open=False), Lane()], 0) is None


def test_suspects_have_their_turn_and_then_all_the_others_as_long_a_one() -> None:
    alone, lane = PoisonIsolation(), Lane(suspects=True)
    assert turns(alone, [lane], 50) is lane
    alone.started(50)
    assert turns(alone, [lane], 50 + TURN_S) is lane
    over_s = 50 + TURN_S + 20
    assert turns(alone, [lane], over_s) is None
    assert turns(alone, [lane], over_s + TURN_S + 19) is None
    assert turns(alone, [lane], over_s + TURN_S + 20) is lane
