"""Upkeep: removed destinations, counts of sources, versions of the file, and paged lists."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import event, update

from hub.core.delivery import lanes
from hub.core.delivery.sweep import GRACE_S, sweep
from hub.core.ids import new_id, parse_id
from hub.core.inbound.config_versions import note_version
from hub.core.models import ConfigVersion, Delivery, RequestState, SourceState, database_later
from hub.core.monitoring.source_counters import SourceNews, add_up
from hub.core.queries.deliveries import count_open
from hub.gateways.database.engine import open_database
from tests.core.making import NOW, Town, attempts_of, deliveries_of, lease_of, route, rows
from tests.listing import event_rows


def test_due_work_of_a_destination_that_is_gone_fails_after_a_while(database, town) -> None:
    gone = Town(destinations=())
    with database.write() as connection:
        town.take_in(connection, {"id": "e1"})
        assert sweep(connection, gone.configuration) == 0, "another process may still have it"
        connection.execute(update(Delivery).values(next_attempt_at=database_later(-GRACE_S - 1)))
        assert sweep(connection, town.configuration) == 0
        assert sweep(connection, gone.configuration) == 1
        assert sweep(connection, gone.configuration) == 0
        [delivery] = deliveries_of(connection)
    assert delivery.state == "failed"
    assert "put it back and replay" in delivery.error


def test_a_lane_that_is_let_go_during_the_sweep_leaves_no_call_that_nobody_asks_about(
    postgresql_url, town
) -> None:
    """A worker that exits releases its lanes, with the call in flight that never comes back."""
    database, gone = open_database(postgresql_url, pool_size=2), Town(destinations=())
    with database.write() as connection:
        town.take_in(connection, {"id": "e1"})
        hold = lease_of(connection)
        town.claim(connection, hold)

    def let_go(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("UPDATE attempts"):
            with database.write() as beside:
                lanes.release(beside, hold)

    states = []
    with database.write() as connection:
        event.listen(connection, "after_cursor_execute", let_go)
        sweep(connection, gone.configuration)
    for _ in range(2):
        with database.write() as connection:
            [delivery], [attempt] = deliveries_of(connection), attempts_of(connection)
            states.append((delivery.state, attempt.state))
            sweep(connection, gone.configuration)
    database.engine.dispose()
    assert states == [("running", "calling"), ("unknown", "unknown")]


def test_what_happens_at_a_source_is_added_up_by_any_number_of_processes(database) -> None:
    counts = Counter({RequestState.ACCEPTED: 3, RequestState.REJECTED: 1})
    news = {
        "b": SourceNews(counts, last_verified_at=NOW),
        "a": SourceNews(counts, last_rejected_at=NOW, last_rejected_reason="no signature"),
    }

    def write(_: int) -> None:
        with database.write() as connection:
            add_up(connection, news)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(8)))
    with database.read() as connection:
        a, b = rows(connection, SourceState, SourceState.source)
    assert (a.accepted, a.rejected, a.duplicates, a.unreadable) == (24, 8, 0, 0)
    assert (a.last_verified_at, a.last_rejected_at, a.last_rejected_reason) == (
        None, NOW, "no signature",
    )  # fmt: skip
    assert b.last_verified_at == NOW


def test_news_without_anything_new_change_nothing(database) -> None:
    with database.write() as connection:
        add_up(connection, {"a": SourceNews()})
        assert len(rows(connection, SourceState, SourceState.source)) == 1


def test_a_version_of_the_file_is_kept_once_with_its_routes(database) -> None:
    town = Town(routes=[route("a", when="data.amount > 5", sources=("stripe",))])
    with database.write() as connection:
        note_version(connection, town.configuration, now=NOW)
        note_version(connection, town.configuration, now=NOW + timedelta(days=1))
        [version] = rows(connection, ConfigVersion, ConfigVersion.version)
    assert (version.version, version.first_seen_at) == ("0123456789ab", NOW)
    assert version.routes["a"] == {
        "on": ["lead.submitted"], "from": ["stripe"], "live": "live",
        "when": "data.amount > 5", "do": "ops.post", "enabled": True,
    }  # fmt: skip


def test_ids_are_uuids_of_version_7_that_sort_by_time() -> None:
    ids = [new_id(NOW + timedelta(microseconds=n)) for n in range(3000)]
    assert ids == sorted(ids)
    assert {(id.version, id.variant) for id in ids} == {(7, "specified in RFC 4122")}
    assert len({new_id(NOW) for _ in range(1000)}) == 1000
    assert parse_id("nope") is None
    assert parse_id(str(ids[0])) == ids[0]


@pytest.fixture
def connection(database):
    town = Town(routes=[route(on=("*",))])
    with database.write() as connection:
        for n in range(5):
            event = {"id": f"50%_{n}", "type": "sms.sent" if n % 2 else "sms_sent.x", "live": n > 1}
            town.take_in(connection, event)
        yield connection


def test_a_list_is_paged_by_key_the_newest_first(connection) -> None:
    first = event_rows(connection, limit=2)
    assert [row["external_id"] for row in first] == ["50%_4", "50%_3"]
    before = UUID(first[-1]["id"])
    second = event_rows(connection, limit=9, before=before)
    assert [row["external_id"] for row in second] == ["50%_2", "50%_1", "50%_0"]


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        ({"type": "sms.*"}, 2), ({"type": "sms_*"}, 3), ({"type": "*"}, 5), ({"type": "sms"}, 0),
        ({"external_id": "50%_1"}, 1), ({"external_id": "50%*"}, 5), ({"external_id": "5_*"}, 0),
        ({"live": True}, 3), ({"live": False, "source": "provider"}, 2), ({"state": None}, 5),
        ({"state": "matched", "source": "nope"}, 0), ({"external_id": "' OR 1=1 --"}, 0),
    ],
)  # fmt: skip
def test_filters_take_globs_and_mean_every_other_character_as_it_is(
    connection, filters, count: int
) -> None:
    assert len(event_rows(connection, **filters)) == count


def test_a_list_can_begin_at_a_time(connection) -> None:
    since = NOW + timedelta(seconds=3)
    assert len(event_rows(connection, since=since)) == 2


def test_deliveries_still_on_their_way_are_counted(connection) -> None:
    events = [UUID(row["id"]) for row in event_rows(connection)]
    assert count_open(connection, events) == 3  # the live ones
    connection.execute(update(Delivery).values(state="failed"))
    assert count_open(connection, events) == 0
    assert count_open(connection, []) == 0
