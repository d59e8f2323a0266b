"""Leases of shards in any order of events: whose calls are settled, and that it happens once."""

from dataclasses import dataclass, field
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import update

from adapters import Effect, Outcome, Verdict
from hub.core.configuration import Destination, RetryPlan
from hub.core.delivery import lanes, shards
from hub.core.delivery.lane_rows import Lease
from hub.core.delivery.record import Finished, abandon, orphans, record
from hub.core.delivery.transitions import Budget, RetryPolicy, on_result
from hub.core.models import Lane
from tests.core.making import Town, deliveries_of
from tests.exploring import examples

ONCE = RetryPolicy(Effect.AT_MOST_ONCE, RetryPlan())
DONE = Outcome(Verdict.SUCCEEDED, status=200)
HOLDERS = ("a", "b", "c")
EVENTS = 6
STEPS = st.one_of(
    st.tuples(
        st.just("acquire"),
        st.sampled_from(HOLDERS),
        st.sampled_from([3, 3, 3, 2, 1]),
        st.sampled_from([1, 2, 9]),
    ),
    st.tuples(st.just("expire"), st.integers(0, 2)),
    st.tuples(st.sampled_from(["claim", "record", "renew", "release"]), st.sampled_from(HOLDERS)),
)
RENEWED_LATE = [("acquire", "a", 2, 1), ("renew", "b"), ("acquire", "a", 3, 1)]


@dataclass
class World:
    """Database with up to three holders, and what is known of each call from outside.

    `leases` are those that a holder believes in, also after it has lost them. `latest` is the last
    lease of each shard. `calls` are made and not recorded, with their lease and holder.
    """

    connection: Any
    town: Town
    leases: dict[str, list[Lease]] = field(default_factory=lambda: {one: [] for one in HOLDERS})
    latest: dict[int, Lease] = field(default_factory=dict)
    calls: list[tuple[str, Lease, Any]] = field(default_factory=list)
    settled: list[Any] = field(default_factory=list)
    late: list[Any] = field(default_factory=list)
    numbers: dict[int, int] = field(default_factory=dict)

    def acquire(self, holder: str, number: int, most: int = 9) -> None:
        """Lease what is free as a worker does, and settle what was left open there."""
        taken = lanes.acquire(self.connection, holder, ["ops"], most=most, shards=number)
        for lease in taken:
            before = self.latest.get(lease.shard)
            assert before is None or lease.token > before.token
            left = orphans(self.connection, lease)
            expected = {
                claimed.delivery_id
                for _, old, claimed in self.calls
                if old.shard == lease.shard and claimed.delivery_id not in self.settled
            }
            assert {one["delivery_id"] for one in left} == expected
            record(self.connection, [abandon(one, ONCE, chance=0.5) for one in left])
            self.settled += [one["delivery_id"] for one in left]
            self.latest[lease.shard] = lease
            if lease.to_settle:
                lanes.release(self.connection, lease)
                continue
            self.numbers[lease.shard] = number
            self.leases[holder].append(lease)
        living = {row.shard for row in self._held()}
        assert len({self.numbers[one] for one in living}) <= 1, "two numbers of shards at once"

    def _held(self) -> list[Any]:
        states = shards.shard_states(self.connection, ["ops"])["ops"]
        return [one for one in states if one.holder is not None]

    def expire(self, shard: int) -> None:
        self.connection.execute(
            update(Lane).where(Lane.shard == shard).values(lease_until=lanes.database_later(-1))
        )

    def claim(self, holder: str) -> None:
        """Claim one delivery in each lane that the holder believes to have."""
        for lease in self.leases[holder]:
            made = self.town.claim(self.connection, lease, slots=1)
            assert not made or self.latest[lease.shard] == lease, "a lost lane was claimed in"
            self.calls += [(holder, lease, claimed) for claimed in made]

    def record(self, holder: str) -> None:
        """Record the end of a call, the oldest first."""
        mine = [call for call in self.calls if call[0] == holder]
        for call in mine[:1]:
            _, lease, claimed = call
            transition = on_result(DONE, ONCE, Budget(claimed.tries, 0), chance=0.5)
            ended = Finished(
                claimed.delivery_id, claimed.attempt_id, lease.token, DONE, transition, once=True
            )
            late = record(self.connection, [ended])
            assert bool(late) == (claimed.delivery_id in self.settled)
            self.calls.remove(call)
            self.late += [claimed.delivery_id] * late

    def renew(self, holder: str) -> None:
        kept = lanes.renew(self.connection, self.leases[holder])
        mine = {one.name for one in self.leases[holder] if self.latest[one.shard] == one}
        assert kept == mine

    def release(self, holder: str) -> None:
        """Release lanes without open calls, as a drain does."""
        busy = {lease for _, lease, _ in self.calls}
        for lease in [one for one in self.leases[holder] if one not in busy]:
            lanes.release(self.connection, lease)
            self.leases[holder].remove(lease)

    def end(self) -> None:
        """Let all leases end; the next holder of each shard settles what is left."""
        for shard in range(3):
            self.expire(shard)
        self.acquire("c", 1)
        states = {row.id: row.state for row in deliveries_of(self.connection)}
        assert "running" not in states.values()
        assert len(self.settled) == len(set(self.settled)), "an orphan was settled twice"
        unknown = {one for one, state in states.items() if state == "unknown"}
        assert unknown == set(self.settled) - set(self.late)


@settings(
    max_examples=examples(150),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=st.lists(STEPS, min_size=4, max_size=40))
@example(steps=[("acquire", "b", 3, 2), ("expire", 0), ("expire", 1), *RENEWED_LATE])
def test_an_orphan_is_settled_once_and_no_living_holders_call_ever(database, steps) -> None:
    with database.engine.connect() as connection:
        transaction = connection.begin()
        town = Town()
        for number in range(EVENTS):
            town.take_in(connection, {"id": f"e{number}"})
        lanes.ensure(connection, ["ops"])
        shards.ensure_shards(connection, [Destination("ops", "http", {}, shards=3)])
        world = World(connection, town)
        for step, *arguments in steps:
            getattr(world, step)(*arguments)
        world.end()
        transaction.rollback()
