"""Re-ingest: rejected and unreadable requests taken in again after the cause is fixed."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from adapters import NotVerified
from hub.core.errors import NotFound, Refused
from hub.core.events.reingest import reingest
from hub.core.ids import new_id
from hub.core.inbound import byte_budget
from hub.core.inbound.ingest import store_rejected
from hub.core.models import RequestState, SourceState, database_now
from tests.core.making import (
    NOW,
    Town,
    deliveries_of,
    events_of,
    request,
    requests_of,
)


def rejected(connection, **options):
    refused = request({"id": "e1"}, key="new", **options)
    return store_rejected(connection, source="provider", request=refused, reason="wrong key")


def test_a_rejected_request_is_taken_in_once_the_secret_is_mended(database, town) -> None:
    with database.write() as connection:
        trace = rejected(connection)
        with pytest.raises(Refused, match="still does not verify: the header `key` is wrong"):
            reingest(connection, town, trace)
        town.provider.key = "new"
        taken = reingest(connection, town, trace)
        [kept], [event] = requests_of(connection), events_of(connection)
        assert len(deliveries_of(connection)) == 1
    assert taken.state is RequestState.ACCEPTED
    assert (kept.id, kept.state, kept.reason) == (taken.request_id, "accepted", None)
    assert kept.received_at == event.received_at == NOW, "the time it arrived"


def test_what_is_taken_in_again_stays_whatever_strangers_have_used(
    database, town, monkeypatch
) -> None:
    """The budget of today is not touched."""
    monkeypatch.setattr(byte_budget, "DAY_BYTES", 8000)
    with database.write() as connection:
        town.take_in(connection, {"id": "e1", "data": {"amount": 1}})
        trace = rejected(connection)
        taken = byte_budget.take(connection, "provider", 7000, now=NOW)
        before = connection.execute(select(SourceState.__table__)).one()
        town.provider.key = "new"
        again = reingest(connection, town, trace)
        assert (taken, again.state, again.conflict) == (True, RequestState.DUPLICATE, True)
        [kept] = [row for row in requests_of(connection) if row.conflict]
        assert kept.body is not None
        assert connection.execute(select(SourceState.__table__)).one() == before


def test_what_lacks_a_header_that_it_needs_says_that_it_cannot_be_verified_again(
    database, town
) -> None:
    town.provider.key = "new" * 10_000
    refused = request({"id": "e1"}, key=town.provider.key)
    with database.write() as connection:
        trace = store_rejected(connection, source="provider", request=refused, reason="wrong key")
        with pytest.raises(Refused, match="cannot be verified again: its header key was too long"):
            reingest(connection, town, trace)
        [kept] = requests_of(connection)
    assert kept.state == "rejected"


def test_a_header_that_was_cut_and_is_not_needed_stops_nothing(database, town) -> None:
    refused = request({"id": "e1"}, key="new")
    more = replace(refused, headers={**refused.headers, "x-filler": "f" * 60_000})
    with database.write() as connection:
        trace = store_rejected(connection, source="provider", request=more, reason="wrong key")
        town.provider.key = "new"
        assert reingest(connection, town, trace).state is RequestState.ACCEPTED


def test_an_unreadable_request_is_read_once_the_reader_is_mended(database, town) -> None:
    with database.write() as connection:
        torn = town.take_in(connection, body=b"torn").request_id
        assert reingest(connection, town, torn).state is RequestState.UNREADABLE
        [kept] = requests_of(connection)
        assert (kept.id, kept.state) == (torn, "unreadable")
        town.provider.reads_anything = True
        assert reingest(connection, town, torn).state is RequestState.ACCEPTED
        [event] = events_of(connection)
        assert event.external_id == "mended"
        assert [kept.state for kept in requests_of(connection)] == ["accepted"]


def test_what_verified_when_it_came_needs_no_secret_of_today_to_be_read(database, town) -> None:
    with database.write() as connection:
        torn = town.take_in(connection, body=b"torn").request_id
        town.provider.key = "rotated"
        town.provider.reads_anything = True
        assert reingest(connection, town, torn).state is RequestState.ACCEPTED
        [kept] = requests_of(connection)
    assert kept.signed_by == "secrets[0]"


def test_a_rejected_request_that_cannot_be_read_either_becomes_unreadable(database, town) -> None:
    with database.write() as connection:
        refused = request(body=b"torn", key="new")
        trace = store_rejected(connection, source="provider", request=refused, reason="wrong key")
        town.provider.key = "new"
        assert reingest(connection, town, trace).state is RequestState.UNREADABLE
        [kept] = requests_of(connection)
    assert (kept.id, kept.state, kept.reason) == (trace, "unreadable", "the body is torn")


def test_what_came_through_by_another_try_is_counted_as_a_duplicate(database, town) -> None:
    with database.write() as connection:
        trace = rejected(connection)
        town.provider.key = "new"
        town.take_in(connection, {"id": "e1"}, key="new")
        assert reingest(connection, town, trace).state is RequestState.DUPLICATE
        [event] = events_of(connection)
        assert event.duplicates == 1
        assert len(deliveries_of(connection)) == 1


def test_deliveries_of_an_old_request_have_all_their_time_before_them(database, town) -> None:
    town.provider.key = "new"
    with database.write() as connection:
        trace = rejected(connection, at=NOW - timedelta(days=30))
        reingest(connection, town, trace)
        [delivery] = deliveries_of(connection)
        now = connection.scalar(select(database_now()))
    assert now - delivery.since < timedelta(minutes=1)


def test_what_was_accepted_or_is_not_there_is_refused(database, town) -> None:
    with database.write() as connection:
        taken = town.take_in(connection, {"id": "e1"})
        with pytest.raises(Refused, match="replay its event"):
            reingest(connection, town, taken.request_id)
        with pytest.raises(NotFound):
            reingest(connection, town, new_id(NOW))


def test_a_body_that_was_too_large_to_keep_is_said_to_be_gone(database, town) -> None:
    with database.write() as connection:
        refused = request(body=b"x" * 70_000, key="bad")
        trace = store_rejected(connection, source="provider", request=refused, reason="wrong key")
        with pytest.raises(Refused, match="its body was not kept"):
            reingest(connection, town, trace)


def test_a_source_that_is_gone_from_the_file_is_named(database) -> None:
    town = Town()
    with database.write() as connection:
        refused = request({"id": "e1"}, key="bad")
        trace = store_rejected(connection, source="gone", request=refused, reason="wrong key")
        with pytest.raises(NotFound, match="no source gone in hub"):
            reingest(connection, town, trace)


@pytest.mark.parametrize("signed_for", ["https://hooks.example.org", "http://hub"])
def test_it_is_verified_by_the_address_of_today_and_by_the_one_it_came_to(
    database, town, monkeypatch, signed_for
) -> None:
    def verify(one) -> str:
        if one.url != f"{signed_for}/webhooks/provider":
            raise NotVerified("signed for another address")
        return "secrets[0]"

    monkeypatch.setattr(town.provider, "verify", verify)
    with database.write() as connection:
        trace = rejected(connection)
        town.public_url = "https://elsewhere.example"
        if signed_for != "http://hub":
            with pytest.raises(Refused, match="another address"):
                reingest(connection, town, trace)
        town.public_url = "https://hooks.example.org"
        assert reingest(connection, town, trace).state is RequestState.ACCEPTED
