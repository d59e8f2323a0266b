"""Work that no worker serves: an alert, once it is late, and not before."""

from typing import Any

import pytest
from sqlalchemy import select, update

from hub.core.delivery import lanes
from hub.core.models import Alert, Delivery, Lane, database_later
from hub.core.monitoring import alerts
from hub.core.monitoring.heartbeats import UNSERVED_S, alert_unserved
from hub.core.ports import EVENTS
from tests.core.making import NOW, Town, lease_of

LATE_S = -UNSERVED_S - 5


@pytest.fixture
def connection(database):
    with database.write() as connection:
        yield connection


@pytest.fixture
def late(connection, town):
    """One delivery that has been due for longer than a worker may take."""
    town.take_in(connection, {"id": "e1"})
    lanes.ensure(connection, ["ops"])
    connection.execute(update(Delivery).values(next_attempt_at=database_later(LATE_S)))


def told(connection: Any, town: Town, *unserved: str) -> set[str]:
    alert_unserved(connection, town.configuration, unserved, now=NOW)
    return alerts.subjects(connection, alerts.NOT_SERVED)


def lane(connection: Any, **values: Any) -> None:
    connection.execute(update(Lane).values(**values))


def test_late_work_that_nobody_takes_is_an_alert_and_ends_when_it_is_taken(
    connection, town, late
) -> None:
    assert told(connection, town) == {"destination ops"}
    assert told(connection, town) == {"destination ops"}
    message = connection.execute(select(Alert.message)).scalar_one()
    assert "start `hub worker`, or `hub worker ops`" in message
    lease_of(connection)
    assert told(connection, town) == set()


def test_work_that_became_due_just_now_is_none(connection, town, late) -> None:
    connection.execute(update(Delivery).values(next_attempt_at=database_later(-UNSERVED_S + 20)))
    assert told(connection, town) == set()


def test_a_lane_that_is_between_two_drains_is_served(connection, town, late) -> None:
    lanes.release(connection, lease_of(connection))
    assert told(connection, town) == set()
    lane(connection, lease_until=database_later(LATE_S))
    assert told(connection, town) == {"destination ops"}


@pytest.mark.parametrize(
    "values",
    [
        {"paused": True},
        {"blocked_until": database_later(60)},
        {"blocked_until": database_later(-5)},
    ],
    ids=["paused", "blocked", "blocked until now"],
)
def test_a_lane_that_may_not_be_called_is_no_matter_of_workers(
    connection, town, late, values
) -> None:
    lane(connection, **values)
    assert told(connection, town) == set()


def test_a_destination_that_is_gone_is_the_sweeps_matter(connection, late) -> None:
    assert told(connection, Town(destinations=())) == set()


def test_a_queue_without_a_worker_is_an_alert_before_its_work_is_late(connection, town) -> None:
    assert told(connection, town, "ops", EVENTS) == {"destination ops", EVENTS}
    assert told(connection, town, "ops") == {"destination ops"}
    assert told(connection, town) == set()
