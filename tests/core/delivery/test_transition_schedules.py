"""Random schedules of the ledger against a model of a provider, with invariants.

With `make faults` they are 19,000, and a third of that otherwise. 13,000 are of an action that
nothing but the ledger protects (3,000 of them with people who answer), 3,000 of a keyed one, 3,000
of one that may happen twice. A schedule is a row of bytes: each is a step (a claim, a call's fate,
a worker's death, a takeover, callbacks that are early, late or doubled, a look-up, a person's
answer, a replay, passing time, a clock that is set back) and its choice. The invariants are checked
after every step; at the end the world runs until nothing is open.
"""

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters import Effect
from hub.core.delivery.settle import SettleAnswer
from hub.core.delivery.transitions import RetryPolicy
from hub.core.models import AttemptState, DeliveryState
from hub.core.replays.replay import Plan
from tests.core.world import OPEN, PATIENT, World
from tests.exploring import examples

ONCE = RetryPolicy(Effect.AT_MOST_ONCE, PATIENT)
KEYED = RetryPolicy(Effect.KEYED, PATIENT)
OFTEN = RetryPolicy(Effect.AT_MOST_ONCE, PATIENT, at_least_once=True)
PASSING_S = (1.0, 5.0, 11.0, 30.0, 61.0, 130.0, 1000.0, 50_000.0)
SCHEDULES = st.binary(min_size=8, max_size=48)
QUIETLY = [HealthCheck.too_slow, HealthCheck.data_too_large]


def _with_news(world: World, choice: int) -> None:
    if world.effects:
        world.webhook(world.effects[choice % len(world.effects)])


def _with_call(world: World, choice: int, act: Callable[[World, int], None]) -> None:
    if world.tried:
        act(world, choice)


def _set_back(world: World, choice: int) -> None:
    """Set the clock back, by at most half an hour in all: the key's life has an hour to spare."""
    world.skew_s = max(world.skew_s - PASSING_S[choice], -1800.0)


def _replay(world: World, choice: int) -> None:
    done, before = world.state is DeliveryState.SUCCEEDED, (world.state, world.key_n)
    plan = world.replay(again=choice == 7)
    if done and choice != 7:
        assert plan is Plan.REFUSED, "I6"
        assert (world.state, world.key_n) == before


def _die(world: World, choice: int) -> None:
    world.tried[-1 - choice % min(2, len(world.tried))].alive = False


def _record(world: World, choice: int) -> None:
    world.record(world.tried[-1 - choice % min(2, len(world.tried))])


def _send(world: World, choice: int) -> None:
    world.send(world.tried[-1], choice % 7)


Act = Callable[[World, int], None]


def _call(act: Act) -> Act:
    return lambda world, choice: _with_call(world, choice, act)


def _look(world: World, choice: int) -> None:
    """Look up immediately or after a delay."""
    world.pass_time((0.0, 15.0, 61.0, 125.0)[choice & 3])
    world.look_up(can_tell=choice != 7)


def _settle(world: World, choice: int) -> None:
    world.settle(list(SettleAnswer)[choice % 3])


ALWAYS: tuple[Act, ...] = (
    _with_news,
    lambda world, choice: world.pass_time(PASSING_S[choice]),
    _call(_record),
    lambda world, _: world.take(),
    _replay,
    _set_back,
)
# Steps that advance a delivery in these states; in any other state a claim does.
MEANT: dict[DeliveryState, tuple[Act, ...]] = {
    DeliveryState.RUNNING: (_call(_send), _call(_send), _call(_record), _call(_die)),
    DeliveryState.UNKNOWN: (_look, _look, lambda world, _: world.close_the_seen(), _settle),
}


def run(world: World, schedule: bytes, *, people: bool) -> None:
    for byte in schedule:
        before = (world.state, world.allowed, [one.state for one in world.tried])
        meant = MEANT.get(world.state, (lambda world, _: world.claim(),))
        step, choice = byte & 31, byte >> 5
        act = ALWAYS[step % len(ALWAYS)] if step < 14 else meant[step % len(meant)]
        if people or act not in (_settle, _replay):
            act(world, choice)
        check(world, before)
    finish(world)


def check(world: World, before: tuple[DeliveryState, int, list[AttemptState]]) -> None:
    state, allowed, attempts = before
    open_ = [one for one in world.tried if one.state in OPEN]
    assert len(open_) <= 1, "I2"
    if not world.protection.at_least_once:
        assert len(world.effects) <= world.allowed, "I3"
    if state is DeliveryState.SUCCEEDED and world.state is not state:
        assert world.allowed > allowed, "what has succeeded was left without a person's word"
    for old, new in zip(attempts, world.tried, strict=False):
        if old is AttemptState.ACCEPTED:
            assert new.state is old, "an acceptance was taken back"
    accepted = [one for one in world.tried if one.state is AttemptState.ACCEPTED]
    if world.state is DeliveryState.SUCCEEDED:
        assert accepted, "I10: it has succeeded, and nothing says so"
    if world.state is DeliveryState.FAILED:
        assert world.error, "I10: it has failed, and nothing says why"
    if world.state in (DeliveryState.RUNNING, DeliveryState.UNKNOWN):
        assert len(open_) == 1
    else:
        assert not open_
    ended = [one.died for one in world.tried[-world.tries :]] if world.tries else []
    assert not any(all(ended[n:][:4]) for n in range(len(ended) - 3)), "a fourth worker died of it"
    told = [one for one in accepted if one.closed_by != "person"]
    assert not told or world.effects, "what nobody has was believed"
    keys = [one.key for one in told]
    if world.once and len(keys) > len(set(keys)):
        assert world.double, "it happened twice, and nobody is told"


def finish(world: World) -> None:
    """Run until all has healed: callbacks arrive, workers return, doubts are settled (I4)."""
    for _ in range(12):
        world.pass_time(200)
        world.take()
        for message in world.effects:
            world.webhook(message)
        world.close_the_seen()
        world.look_up()
        world.claim()
        if world.state is DeliveryState.RUNNING:
            world.send(world.tried[-1], 0)
            world.record(world.tried[-1])
        check(world, (world.state, world.allowed, [one.state for one in world.tried]))
    # A person is needed only for several alike messages, or for one that is another call's.
    alone = len(world.effects) <= 1 and world.allowed == 1 and world.skew_s == 0
    over = world.state in (DeliveryState.SUCCEEDED, DeliveryState.FAILED)
    assert over or not alone, f"stuck: {world.state}"
    if world.state is DeliveryState.SUCCEEDED and all(
        one.closed_by != "person" for one in world.tried
    ):
        assert world.effects, "lost: it has succeeded, and the provider has nothing"
    if world.once and not world.protection.at_least_once and len(world.effects) > 1:
        tokens = {message.token for message in world.effects}
        keys = [world.tried[token - 1].key for token in tokens]
        assert len(keys) == len(set(keys)) or world.double, "a second effect is hidden"


@settings(max_examples=examples(10_000), suppress_health_check=QUIETLY)
@given(SCHEDULES)
def test_what_nothing_else_protects_happens_once_whatever_happens(schedule: bytes) -> None:
    run(World(ONCE), schedule, people=False)


@settings(max_examples=examples(3_000), suppress_health_check=QUIETLY)
@given(SCHEDULES)
def test_it_happens_again_only_as_often_as_people_say(schedule: bytes) -> None:
    run(World(ONCE), schedule, people=True)


@settings(max_examples=examples(3_000), suppress_health_check=QUIETLY)
@given(SCHEDULES)
def test_what_has_a_key_happens_once_also_when_the_key_is_forgotten(schedule: bytes) -> None:
    run(World(KEYED), schedule, people=True)


@settings(max_examples=examples(3_000), suppress_health_check=QUIETLY)
@given(SCHEDULES)
def test_what_may_happen_twice_tells_when_it_has(schedule: bytes) -> None:
    run(World(OFTEN), schedule, people=True)


def test_the_model_finds_a_double_where_the_settle_time_is_too_short(monkeypatch) -> None:
    """A model that cannot fail proves nothing: here a message in flight is not seen yet."""
    monkeypatch.setattr("tests.core.world.SETTLE_S", 0.0)
    monkeypatch.setattr("tests.core.world.LOOK_AGAIN_S", 0.0)
    monkeypatch.setattr("hub.core.delivery.transitions.LOOK_AGAIN_S", 0.0)
    world = World(ONCE)
    world.claim()
    world.send(world.tried[-1], 2)
    world.record(world.tried[-1])
    world.look_up()
    with pytest.raises(AssertionError, match="I8"):
        world.look_up()
