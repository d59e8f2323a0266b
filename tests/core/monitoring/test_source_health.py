"""Source health: silence and failing signatures, with shifted times, on both databases."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from hub.core.configuration import Configuration, Rate, Source
from hub.core.delivery import pauses
from hub.core.inbound.config_versions import note_version
from hub.core.inbound.ingest import store_rejected
from hub.core.models import Alert, Lane, SourceState, database_later, insert_if_new
from hub.core.monitoring import alerts
from hub.core.monitoring.source_counters import SourceNews, add_up
from hub.core.monitoring.source_health import (
    alert_silence,
    find_blocked,
    find_silent,
    find_unverified,
    rate_words,
)
from tests.core.making import NOW, lease_of, request

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def expecting(town, rate: Rate) -> Configuration:
    """Return the test hub's configuration with a source that expects requests at a rate."""
    source = Source("provider", "provider", {}, expect=rate)
    return replace(town.configuration, sources={"provider": source})


def heard(connection, at) -> None:
    add_up(connection, {"provider": SourceNews(last_verified_at=at)})


def told(connection) -> list[tuple[str, str, bool]]:
    found = connection.execute(
        select(Alert.kind, Alert.subject, Alert.ended_at).order_by(Alert.began_at, Alert.kind)
    )
    return [(row.kind, row.subject, row.ended_at is None) for row in found]


def test_a_source_is_silent_once_its_time_is_over_and_not_before(database, town):
    hourly = expecting(town, Rate(1, 3600))
    with database.write() as connection:
        heard(connection, NOW)
        assert find_silent(connection, hourly, now=NOW + HOUR) == []
        [quiet] = find_silent(connection, hourly, now=NOW + HOUR + timedelta(seconds=1))
        assert (quiet.source, quiet.since) == ("provider", NOW)


def test_the_clock_tells_of_silence_once_and_takes_it_back(database, town):
    hourly, later = expecting(town, Rate(1, 3600)), NOW + 2 * HOUR
    said = (alerts.SILENT_SOURCE, "source provider")
    with database.write() as connection:
        heard(connection, NOW)
        alert_silence(connection, hourly, now=later)
    with database.write() as connection:  # another clock, or the same one started again
        alert_silence(connection, hourly, now=later + HOUR)
        assert told(connection) == [(*said, True)]
        heard(connection, later + HOUR)
        alert_silence(connection, hourly, now=later + HOUR)
        assert told(connection) == [(*said, False)]
        alert_silence(connection, hourly, now=later + 3 * HOUR)
        assert told(connection) == [(*said, False), (*said, True)]


def test_a_source_that_is_expected_no_more_is_not_silent(database, town):
    with database.write() as connection:
        heard(connection, NOW)
        alert_silence(connection, expecting(town, Rate(1, 3600)), now=NOW + DAY)
        alert_silence(connection, town.configuration, now=NOW + DAY)
        assert [lasts for _, _, lasts in told(connection)] == [False]


def test_a_source_that_never_was_heard_is_silent_once_the_file_is_old_enough(database, town):
    hourly = expecting(town, Rate(1, 3600))
    with database.write() as connection:
        assert find_silent(connection, hourly, now=NOW + DAY) == []
        note_version(connection, hourly, now=NOW)
        assert find_silent(connection, hourly, now=NOW + HOUR - timedelta(seconds=1)) == []
        [quiet] = find_silent(connection, hourly, now=NOW + HOUR)
        assert quiet.since is None


@pytest.mark.parametrize(("came", "is_silent"), [(2, True), (3, False)])
def test_fewer_than_expected_are_silence(database, town, came, is_silent):
    three_a_day = expecting(town, Rate(3, 86400))
    with database.write() as connection:
        town.take_in(connection, {"id": "long ago"}, at=NOW - 3 * DAY)
        for n in range(came):
            town.take_in(connection, {"id": f"e{n}"}, at=NOW - n * HOUR)
        heard(connection, NOW)
        found = find_silent(connection, three_a_day, now=NOW)
        assert [one.heard for one in found] == ([2] if is_silent else [])


def test_a_source_that_has_just_begun_owes_nothing_yet(database, town):
    with database.write() as connection:
        town.take_in(connection, {"id": "first"}, at=NOW - HOUR)
        heard(connection, NOW - HOUR)
        assert find_silent(connection, expecting(town, Rate(9, 86400)), now=NOW) == []


def refuse(connection, times: int, *, after) -> None:
    """Store rejected requests, one a minute."""
    for n in range(times):
        at = after + timedelta(minutes=n + 1)
        store_rejected(
            connection, source="provider", request=request(at=at), reason="key: signed with none"
        )
        news = SourceNews(last_rejected_at=at, last_rejected_reason="key: signed with none")
        add_up(connection, {"provider": news})


def test_signatures_have_stopped_verifying_after_three_that_did_not(database, town):
    with database.write() as connection:
        heard(connection, NOW)
        refuse(connection, 2, after=NOW)
        assert find_unverified(connection, town.configuration) == []
        refuse(connection, 1, after=NOW + HOUR)
        [found] = find_unverified(connection, town.configuration)
        assert (found.since, found.count, found.reason) == (NOW, 3, "key: signed with none")


def test_a_good_request_ends_it(database, town):
    with database.write() as connection:
        heard(connection, NOW)
        refuse(connection, 3, after=NOW)
        alert_silence(connection, town.configuration, now=NOW + HOUR)
        heard(connection, NOW + HOUR)
        alert_silence(connection, town.configuration, now=NOW + HOUR)
        assert told(connection) == [(alerts.NOT_VERIFIED, "source provider", False)]
        refuse(connection, 1, after=NOW + HOUR)  # the rejections before it do not count again
        assert find_unverified(connection, town.configuration) == []


def test_a_stranger_at_a_source_that_is_not_in_the_file_is_nobodys_trouble(database, town):
    gone = replace(town.configuration, sources={})
    with database.write() as connection:
        refuse(connection, 3, after=NOW)
        assert find_unverified(connection, gone) == []


def test_a_block_is_told_of_until_calls_go_well_again(database, town):
    with database.write() as connection:
        town.take_in(connection, {"id": "e"})
        hold = lease_of(connection)
        pauses.block(connection, hold, for_s=30, reason="refused us: 403", setbacks=1)
        alert_silence(connection, town.configuration, now=NOW)
        connection.execute(update(Lane).values(blocked_until=database_later(-1)))
        assert [one.reason for one in find_blocked(connection, town.configuration)] == [
            "refused us: 403"
        ]
        pauses.recover(connection, hold)
        alert_silence(connection, town.configuration, now=NOW + HOUR)
        assert told(connection) == [(alerts.BLOCKED, "destination ops", False)]


def test_a_destination_that_asked_to_wait_and_has_waited_is_not_blocked(database, town):
    with database.write() as connection:
        town.take_in(connection, {"id": "e"})
        pauses.block(connection, lease_of(connection), for_s=-1, reason="asked to wait", setbacks=0)
        assert find_blocked(connection, town.configuration) == []


@pytest.mark.parametrize(
    ("rate", "words"),
    [
        (Rate(1, 3600), "1 in an hour"),
        (Rate(100, 10), "100 in 10 seconds"),
        (Rate(2, 86400), "2 in a day"),
        (Rate(5, 5400), "5 in 90 minutes"),
    ],
)
def test_a_rate_is_said_as_people_say_it(rate, words):
    assert rate_words(rate) == words


def test_a_state_without_any_time_is_no_trouble(database, town):
    with database.write() as connection:
        connection.execute(insert_if_new(connection, SourceState).values(source="provider"))
        assert find_unverified(connection, town.configuration) == []
