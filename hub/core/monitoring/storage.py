"""Storage health: how full a disk is, and which sources have used up their byte budget today.

Below the lower mark of a disk the hub takes nothing in, so that there is room for what it still has
to write: the ledger of calls that went out, and what retention deletes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from sqlalchemy import Connection

from adapters import registry
from hub.core.configuration import Configuration
from hub.core.inbound import byte_budget
from hub.core.inbound.byte_budget import BudgetUse
from hub.core.monitoring import alerts
from hub.core.monitoring.source_health import states
from hub.core.ports import Disk

GIB = 1024**3
# The least that should be free, and the least that has to be: bytes or a share, whichever is less.
LOW_BYTES, LOW_SHARE = 10 * GIB, 0.20
FULL_BYTES, FULL_SHARE = GIB, 0.02
# By how much more has to be free until it is over.
EASE = 1.25
# Of the lower mark: what is free outside the database's file, at least, where its pages count.
OUTSIDE_SHARE = 0.25


class DiskLevel(IntEnum):
    """Level of a disk. At `FULL` nothing is taken in; at `SPENT`, half of that, no call is made."""

    ROOM = 0
    LOW = 1
    FULL = 2
    SPENT = 3


@dataclass(frozen=True, slots=True)
class DiskSpace:
    """Space of a disk, in bytes. `reusable_bytes` are free inside the database's file on it."""

    total_bytes: int
    free_bytes: int
    reusable_bytes: int = 0

    @property
    def low_bytes(self) -> int:
        return min(LOW_BYTES, int(self.total_bytes * LOW_SHARE))

    @property
    def full_bytes(self) -> int:
        return min(FULL_BYTES, int(self.total_bytes * FULL_SHARE))

    def level(self, before: DiskLevel = DiskLevel.ROOM) -> DiskLevel:
        """Return the level; a lower one than `before` only with some room to spare."""
        room = self.free_bytes
        if room >= self.full_bytes * OUTSIDE_SHARE:
            room += self.reusable_bytes
        marks = (
            (DiskLevel.SPENT, room, self.full_bytes // 2),
            (DiskLevel.FULL, room, self.full_bytes),
            (DiskLevel.LOW, self.free_bytes, self.low_bytes),
        )
        for level, free, mark in marks:
            if free < (mark * EASE if before >= level else mark):
                return level
        return DiskLevel.ROOM

    def sentence(self, level: DiskLevel, *, stores: bool = True) -> str:
        """Return what a level above `ROOM` means, and what to do.

        `stores`: the database is on this disk, and not only Redis.
        """
        free = f"{size_words(self.free_bytes)} of {size_words(self.total_bytes)} are free"
        if not stores:
            return f"{free}: make room, or wake-ups come late once Redis cannot write its file"
        if level is DiskLevel.LOW:
            return (
                f"{free}: make room, enlarge the disk, or shorten `retention` in hub.yaml. Below "
                f"{size_words(self.full_bytes)} webhooks and forms are refused"
            )
        calls = ", and no calls are made" if level is DiskLevel.SPENT else ""
        return (
            f"{free}: webhooks and forms are refused (503, so that providers send again){calls}, "
            f"until it is {size_words(int(self.full_bytes * EASE))}. Make room, or enlarge the disk"
        )


def size_words(size: int) -> str:
    """Return a size in words: `9.5 GiB`, `640 MiB`."""
    return f"{size / GIB:.1f} GiB" if size >= GIB else f"{size / 1024**2:.0f} MiB"


def alert_storage(
    connection: Connection, configuration: Configuration, disk: Disk, *, now: datetime
) -> None:
    """Begin alerts for disks without room and for sources over their budget; end those over."""
    used_up = over_budget(connection, configuration, now=now)
    found: dict[str, Mapping[str, str]] = {
        alerts.OVER_BUDGET: {f"source {slug}": words for slug, words in used_up.items()}
    }
    alerts.update_open(connection, found | dict(disk.alerts), now=now)


def budgets(
    connection: Connection, configuration: Configuration, *, now: datetime
) -> Mapping[str, BudgetUse]:
    """Return the use of each source's byte budget today, by slug; without those that used none."""
    uses = {slug: byte_budget.use_of(row, now=now) for slug, row in states(connection).items()}
    return {
        slug: use
        for slug, use in uses.items()
        if slug in configuration.sources and (use.used_bytes or use.over_budget)
    }


def over_budget(
    connection: Connection, configuration: Configuration, *, now: datetime
) -> Mapping[str, str]:
    """Return a sentence for each source that stores no more today of what nobody vouches for."""
    until, found = byte_budget.ends_at(now), {}
    for slug, use in budgets(connection, configuration, now=now).items():
        if not use.over_budget:
            continue
        takes_forms = registry.inbound(configuration.sources[slug].adapter).takes_forms
        held = "Leads that would be held are turned away (503). " if takes_forms else ""
        found[slug] = (
            f"{use} are used today by requests that do not verify, cannot be read or came again, "
            f"and by held leads. Until {until:%H:%M} UTC more of them are counted and not kept. "
            f"{held}All else is taken in as ever. `hub requests` and `hub held` list what came"
        )
    return found
