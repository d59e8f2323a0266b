"""Levels of a disk: their marks, the way back with room to spare, and the alerts."""

from types import SimpleNamespace

import pytest
from sqlalchemy import select

from hub.core.models import Alert
from hub.core.monitoring import alerts
from hub.core.monitoring.storage import GIB, DiskLevel, DiskSpace, alert_storage, size_words
from tests.core.making import NOW

MIB = 1024**2
ROOM, LOW, FULL, SPENT = DiskLevel
BIG, SMALL = 1000 * GIB, 20 * GIB


@pytest.mark.parametrize(
    ("total", "free", "level"),
    [
        (BIG, 10 * GIB, ROOM),
        (BIG, 10 * GIB - 1, LOW),
        (BIG, GIB, LOW),
        (BIG, GIB - 1, FULL),
        (BIG, GIB // 2, FULL),
        (BIG, GIB // 2 - 1, SPENT),
        (SMALL, 4 * GIB, ROOM),
        (SMALL, 4 * GIB - 1, LOW),
        (SMALL, int(SMALL * 0.02), LOW),
        (SMALL, int(SMALL * 0.02) - 1, FULL),
        (SMALL, 0, SPENT),
    ],
)
def test_bytes_or_a_share_count_whichever_is_less(total: int, free: int, level: DiskLevel) -> None:
    assert DiskSpace(total, free).level() is level


def test_the_way_back_needs_some_room_to_spare() -> None:
    assert DiskSpace(BIG, GIB).level(FULL) is FULL
    assert DiskSpace(BIG, int(1.25 * GIB)).level(FULL) is LOW
    assert DiskSpace(BIG, 12 * GIB).level(FULL) is LOW
    assert DiskSpace(BIG, int(12.5 * GIB)).level(LOW) is ROOM
    assert DiskSpace(BIG, GIB // 2).level(SPENT) is SPENT
    assert DiskSpace(BIG, int(0.625 * GIB)).level(SPENT) is FULL


def test_free_pages_of_the_database_are_room_while_there_is_some_outside() -> None:
    """Deleting leaves pages in the file; otherwise retention could never end a full disk."""
    assert DiskSpace(BIG, GIB // 4, 2 * GIB).level(FULL) is LOW
    assert DiskSpace(BIG, GIB // 4 - 1, 50 * GIB).level(FULL) is SPENT, "its log needs room too"
    assert DiskSpace(BIG, 5 * GIB, 50 * GIB).level() is LOW, "what is told is the disk"


def test_a_sentence_says_what_is_free_what_it_means_and_when_it_is_over() -> None:
    low = DiskSpace(BIG, 9 * GIB).sentence(LOW)
    assert "9.0 GiB of 1000.0 GiB are free" in low
    assert "Below 1.0 GiB webhooks and forms are refused" in low
    full = DiskSpace(SMALL, 300 * MIB).sentence(FULL)
    assert "300 MiB of 20.0 GiB are free: webhooks and forms are refused" in full
    assert "until it is 512 MiB" in full
    assert "no calls" not in full
    assert "no calls are made" in DiskSpace(SMALL, 0).sentence(SPENT)
    assert "wake-ups come late" in DiskSpace(SMALL, 0).sentence(SPENT, stores=False)
    assert size_words(GIB * 3 // 2) == "1.5 GiB"


def told(connection) -> list[tuple[str, str, bool]]:
    rows = connection.execute(select(Alert.__table__).order_by(Alert.began_at, Alert.kind))
    return [(row.kind, row.subject, row.ended_at is None) for row in rows]


def test_a_disk_is_told_once_and_taken_back(database, town) -> None:
    def tell(**found: str) -> list[tuple[str, str, bool]]:
        texts = {kind: {} for kind in (alerts.DISK_FULL, alerts.DISK_LOW)}
        texts |= {getattr(alerts, kind): {"/var": text} for kind, text in found.items()}
        disk = SimpleNamespace(alerts=texts)
        alert_storage(connection, town.configuration, disk, now=NOW)
        return told(connection)

    low, full = (alerts.DISK_LOW, "/var"), (alerts.DISK_FULL, "/var")
    with database.write() as connection:
        assert tell() == []
        assert tell(DISK_LOW="9 GiB") == [(*low, True)]
        assert tell(DISK_LOW="8 GiB") == [(*low, True)]
        assert sorted(tell(DISK_FULL="1 GiB")) == [(*full, True), (*low, False)]
        unwatched = SimpleNamespace(alerts={})
        alert_storage(connection, town.configuration, unwatched, now=NOW)
        assert (*full, True) in told(connection), "a clock of another machine knows nothing of it"
        assert sorted(tell()) == [(*full, False), (*low, False)]
