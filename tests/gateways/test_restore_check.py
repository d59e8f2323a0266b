"""Watermarks in Redis: a restored database is noticed; another hub's watermark is nobody's loss."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from redis import Redis
from sqlalchemy import delete, func, select, update

from hub.core.delivery.restore_detection import Watermark, newest_watermark
from hub.core.identity import adopt, inherits_mark, read_identity
from hub.core.ids import new_id
from hub.core.models import Alert, Attempt, HubIdentity, Restoration
from hub.gateways.database.engine import Database, open_database
from hub.gateways.database.migrations import downgrade, upgrade
from hub.gateways.redis_queue import connect
from hub.gateways.restore_check import (
    SHARED_MARK_KEY,
    check_restored,
    mark_key,
    read_mark,
    write_mark,
)
from tests.core.making import NOW, Town, end_lease, lease_of, make_due


@dataclass
class Office:
    """Hub on a database of its own; the other offices are on the same Redis."""

    url: str
    store: Database
    redis: Redis

    @property
    def hub_id(self) -> UUID:
        with self.store.read() as connection:
            identity = read_identity(connection)
        assert identity is not None
        return identity.hub_id

    def work(self, event_id: str) -> Watermark:
        """Make an attempt; return it."""
        now = datetime.now(UTC)
        with self.store.write() as connection:
            known = connection.execute(select(Attempt.id)).scalars().all()
            Town().take_in(connection, {"id": event_id})
            make_due(connection)
            end_lease(connection)
            lease = lease_of(connection)
            Town().claim(connection, lease)
            # As if it were now: an old watermark proves nothing.
            new = update(Attempt).where(Attempt.id.not_in(known))
            connection.execute(new.values(id=new_id(now), started_at=now))
            mark = newest_watermark(connection)
        assert mark is not None
        return mark

    def lose(self, *marks: Watermark) -> None:
        """Lose attempts, as a database does that is restored from a backup."""
        with self.store.write() as connection:
            ids = [mark.attempt_id for mark in marks]
            connection.execute(delete(Attempt).where(Attempt.id.in_(ids)))

    def check(self, *, redis: Redis | None = None) -> int:
        """Look for a restoration; return the number of loss windows."""
        hub: Any = self
        return len(check_restored(hub, redis or self.redis, self.hub_id))

    def delete_by_retention(self, mark: Watermark) -> None:
        """Delete an attempt as retention does, and note it."""
        self.lose(mark)
        with self.store.write() as connection:
            values = {"attempts_deleted_until": mark.attempt_id}
            connection.execute(update(HubIdentity).values(values))

    def upgrade_again(self, revision: str = "0010") -> None:
        """Go back to the tables of a release before, and come again."""
        downgrade(self.url, revision)
        upgrade(self.url)

    def is_restored(self) -> bool:
        with self.store.read() as connection:
            known = connection.scalar(select(func.count()).select_from(Restoration))
            told = connection.scalar(
                select(func.count()).where(Alert.kind == "restored from a backup")
            )
        assert bool(known) == bool(told)
        return bool(known)

    def inherits(self) -> bool:
        with self.store.read() as connection:
            return inherits_mark(connection)

    @property
    def mark(self) -> Watermark | None:
        return read_mark(self.redis, mark_key(self.hub_id))


@pytest.fixture(params=["sqlite", "postgresql"])
def open_office(
    request, tmp_path: Path, postgres_server, redis_url: str
) -> Iterator[Callable[[], Office]]:
    opened: list[Office] = []

    def make() -> Office:
        url = f"sqlite:///{tmp_path}/{len(opened)}.db"
        if request.param == "postgresql":
            url = postgres_server.url(postgres_server.create_database())
            url = url.replace("postgresql://", "postgresql+psycopg://")
        upgrade(url)
        opened.append(Office(url, open_database(url, pool_size=3), connect(redis_url)))
        return opened[-1]

    yield make
    for office in opened:
        office.store.engine.dispose()
        office.redis.close()


def shared(office: Office) -> Watermark | None:
    return read_mark(office.redis, SHARED_MARK_KEY)


def test_two_hubs_on_one_redis_never_hear_of_each_other(open_office) -> None:
    one, other = open_office(), open_office()
    marks = {}
    for n in range(3):
        for office in (one, other):
            marks[office.url] = office.work(f"e{n}")
            assert office.check() == 0
    assert not one.is_restored()
    assert not other.is_restored()
    assert (one.mark, other.mark) == (marks[one.url], marks[other.url])


def test_a_new_database_beside_an_old_redis_is_no_restored_one(open_office) -> None:
    old = open_office()
    old.work("e1")
    old.check()
    write_mark(old.redis, SHARED_MARK_KEY, old.work("e2"))
    new = open_office()
    assert new.check() == 0
    new.work("e1")
    assert new.check() == 0
    assert not new.is_restored()


def test_a_restored_database_is_noticed_once(open_office) -> None:
    office = open_office()
    before = office.work("e1")
    office.check()
    lost = office.work("e2")
    office.check()
    office.lose(lost)
    assert office.check() == 1
    assert office.check() == 1
    assert office.is_restored()
    assert office.mark == before


def test_a_restored_database_is_noticed_beside_other_hubs(open_office) -> None:
    office, other = open_office(), open_office()
    lost = office.work("e1")
    for one in (office, other):
        one.check()
    other.work("e1")
    other.check()
    office.lose(lost)
    assert office.check() == 1
    assert other.check() == 0
    assert not other.is_restored()


def test_a_backup_from_before_the_upgrade_is_noticed_after_it(open_office) -> None:
    """The upgrade gives the same id again, and the watermark under it is still there."""
    office = open_office()
    office.work("e1")
    office.upgrade_again()
    office.check()
    lost = office.work("e2")
    office.check()
    office.lose(lost)
    office.upgrade_again()
    assert office.check() == 1
    assert office.is_restored()


@pytest.mark.parametrize("revision", ["0013", "0010"])
def test_what_retention_deleted_is_not_taken_for_lost_after_a_downgrade_and_upgrade(
    open_office, revision
) -> None:
    """The watermark may still name a call that was deleted while nobody looked."""
    office = open_office()
    office.work("e1")
    office.upgrade_again()  # from now on each upgrade gives the same id
    for name in ("e2", "e3"):
        deleted = office.work(name)
        office.check()
        office.delete_by_retention(deleted)
        office.upgrade_again(revision)
        assert office.mark == deleted
        assert office.check() == 0
    with office.store.read() as connection:
        assert connection.scalar(select(Alert.id)) is None
    lost = office.work("e4")
    office.check()
    office.lose(lost)
    assert office.check() == 1, "what a backup lacks is noticed as before"


def test_the_mark_of_the_release_before_moves_under_the_key_of_the_hub(open_office) -> None:
    office = open_office()
    mark = office.work("e1")
    write_mark(office.redis, SHARED_MARK_KEY, mark)
    office.upgrade_again()
    assert office.inherits()
    assert office.check() == 0
    assert (office.mark, shared(office), office.inherits()) == (mark, None, False)


def test_a_database_restored_during_the_upgrade_is_noticed(open_office) -> None:
    office = open_office()
    office.work("e1")
    lost = office.work("e2")
    write_mark(office.redis, SHARED_MARK_KEY, lost)
    office.lose(lost)
    office.upgrade_again()
    assert office.check() == 1
    assert office.is_restored()
    assert shared(office) is None


def test_of_two_hubs_that_shared_a_mark_the_second_to_be_upgraded_concludes_nothing(
    open_office,
) -> None:
    first, second = open_office(), open_office()
    second.work("e1")
    write_mark(first.redis, SHARED_MARK_KEY, first.work("e1"))
    for office in (first, second):
        office.upgrade_again()
    foreign = first.work("e2")
    first.check()
    write_mark(first.redis, SHARED_MARK_KEY, foreign)  # a process of the release before
    assert second.check() == 0
    assert not first.is_restored()
    assert not second.is_restored()
    assert shared(second) == foreign, "it is not the second hub's to delete"


def test_the_mark_of_the_release_before_counts_only_once(open_office) -> None:
    """Later it may be another hub's, of the release before, on the same Redis."""
    old, office = open_office(), open_office()
    office.work("e1")
    office.upgrade_again()
    office.check()
    write_mark(old.redis, SHARED_MARK_KEY, old.work("e1"))
    office.redis.delete(mark_key(office.hub_id))
    assert office.check() == 0
    assert not office.is_restored()


def test_without_redis_the_mark_is_inherited_later(open_office, tmp_path) -> None:
    office = open_office()
    office.work("e1")
    lost = office.work("e2")
    write_mark(office.redis, SHARED_MARK_KEY, lost)
    office.lose(lost)
    office.upgrade_again()
    assert office.check(redis=connect(f"unix://{tmp_path}/no-redis")) == 0
    assert office.inherits()
    assert office.check() == 1


def test_a_copied_database_is_not_judged_by_the_mark_of_its_origin(open_office) -> None:
    origin, copy = open_office(), open_office()
    with copy.store.write() as connection:
        connection.execute(update(HubIdentity).values(hub_id=origin.hub_id))
    origin.work("e1")
    origin.check()
    with copy.store.write() as connection:
        adopt(connection, public_url=None, as_copy=True, actor="cli:me", now=NOW)
    assert copy.check() == 0
    copy.work("e1")
    assert copy.check() == 0
    assert not copy.is_restored()
    assert origin.check() == 0


@pytest.mark.parametrize("kept", ["", "x", "x y", "\N{SNOWMAN}", "1f3a52c0 2026-11-30T00:00:00"])
def test_a_mark_that_cannot_be_read_says_nothing(open_office, kept) -> None:
    office = open_office()
    office.redis.set(mark_key(office.hub_id), kept)
    assert office.mark is None
    assert office.check() == 0


def test_a_mark_without_end_or_of_another_type_is_replaced_unread(open_office) -> None:
    office = open_office()
    key, latest = mark_key(office.hub_id), office.work("e1")
    office.redis.set(key, "x" * 2_000_000)
    before = office.redis.info("stats")["total_net_output_bytes"]
    assert office.check() == 0
    assert office.redis.info("stats")["total_net_output_bytes"] - before < 1_000_000
    assert office.mark == latest
    office.redis.delete(key)
    office.redis.rpush(key, "x")
    assert office.check() == 0
    assert office.mark == latest
