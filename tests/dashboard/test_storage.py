"""Storage on the dashboard: disks on the first page, and the byte budget on a source's."""

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from hub.core.inbound import byte_budget
from hub.core.inbound.byte_budget import note_over_budget, take
from hub.core.monitoring import alerts
from hub.core.monitoring.storage import GIB
from hub.gateways import disk_watch
from tests.dashboard.board import Board
from tests.dashboard.test_home import see

NOW = datetime.now(UTC)


def test_a_disk_that_is_nearly_full_stands_before_all_else(board: Board) -> None:
    with board.hub.store.write() as connection:
        alerts.begin(connection, "moon is full", "event 7", "It is.", now=NOW)
        alerts.begin(connection, alerts.DISK_LOW, "/srv/hub/var", "9.0 GiB are free", now=NOW)
    text = see(board, "/")
    assert text.index("The disk is nearly full") < text.index("Moon is full")
    assert "/srv/hub/var" in text
    assert "9.0 GiB are free." in text
    assert text.count("nearly full") == 1


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_full_disk_is_shown_also_where_its_alert_could_not_be_written(
    board: Board, monkeypatch
) -> None:
    usage = SimpleNamespace(total=1000 * GIB, free=GIB // 8)
    monkeypatch.setattr(disk_watch, "disk_usage", lambda _: usage)
    board.hub.disk.look()
    [disk] = board.hub.disk.disks
    with board.hub.store.write() as connection:
        alerts.begin(connection, alerts.DISK_LOW, str(disk.folder), "it was low", now=NOW)
    text = see(board, "/")
    assert "The disk is full: webhooks and forms are refused" in text
    assert "nearly full" not in text, "what is seen now is newer than the clock's alert"
    assert "128 MiB of 1000.0 GiB are free" in text


def test_a_source_shows_what_it_keeps_of_its_budget_today(board: Board) -> None:
    assert "0 of 64 MiB" in see(board, "/sources/stripe")
    with board.hub.store.write() as connection:
        take(connection, "stripe", 3 * byte_budget.MIB, now=NOW)
        note_over_budget(connection, "stripe", now=NOW)
    text = see(board, "/sources/stripe")
    assert "3 of 64 MiB" in text
    assert "1 more were counted, and not kept" in text
