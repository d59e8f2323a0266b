"""Ingest: the stored result of every kind of request, repeated or concurrent."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import delete, select

from hub.core.inbound.ingest import ingest, ingest_known, store_rejected
from hub.core.inbound.receive import Refusal
from hub.core.models import EventKey, RequestState, StoredEvent
from tests.core.making import (
    NOW,
    Town,
    attempts_of,
    deliveries_of,
    events_of,
    request,
    requests_of,
    route,
    rows,
)


def test_a_request_its_event_and_its_deliveries_are_stored_together(database, town) -> None:
    with database.write() as connection:
        taken = town.take_in(connection, {"id": "e1", "data": {"email": "Jane@example.com"}})
        [kept], [event], [delivery] = (
            requests_of(connection), events_of(connection), deliveries_of(connection),
        )  # fmt: skip
    assert taken.state is RequestState.ACCEPTED
    assert taken.new_event_ids == [event.id]
    assert (kept.id, kept.state, kept.event_id) == (taken.request_id, "accepted", event.id)
    assert kept.signed_by == "secrets[0]"
    assert kept.received_at == NOW
    assert (event.request_id, event.state, event.duplicates) == (kept.id, "matched", 0)
    assert event.data == {"email": "Jane@example.com"}, (
        "the provider's own object is not kept twice"
    )
    assert event.config_version == "0123456789ab"
    assert (delivery.event_id, delivery.state, delivery.attempts) == (event.id, "pending", 0)


def test_the_exact_bytes_are_kept_and_credentials_are_not(database, town) -> None:
    body = b' [ {"id":"e1", "data": {}} ]\n'
    with database.write() as connection:
        town.take_in(connection, body=body)
        [kept] = requests_of(connection)
    assert kept.body == body
    assert kept.size_bytes == len(body)
    assert kept.headers == {"key": "good", "content-type": "application/json"}


def test_a_request_without_an_event_is_kept_and_cannot_be_read(database, town) -> None:
    with database.write() as connection:
        taken = town.take_in(connection)
        [kept] = requests_of(connection)
    assert taken.state is RequestState.UNREADABLE
    assert (kept.state, kept.reason) == ("unreadable", "there is no event in it")


def test_an_event_that_no_route_takes_is_kept_as_unmatched(database, town) -> None:
    with database.write() as connection:
        town.take_in(connection, {"id": "e1", "type": "sms.sent"})
        [event] = events_of(connection)
        assert event.state == "unmatched"
        assert deliveries_of(connection) == []


def test_a_duplicate_is_counted_and_does_nothing(database, town) -> None:
    with database.write() as connection:
        town.take_in(connection, {"id": "e1"})
    with database.write() as connection:
        taken = town.take_in(connection, {"id": "e1"})
        first, again = requests_of(connection)
        [event] = events_of(connection)
        assert len(deliveries_of(connection)) == 1
    assert taken.state is RequestState.DUPLICATE
    assert list(taken.new_event_ids) == []
    assert not taken.conflict
    assert event.duplicates == 1
    assert (again.state, again.event_id, again.reason) == ("duplicate", event.id, None)
    assert first.body is not None
    assert again.body is None, "the first one has it"


def test_the_same_id_with_another_body_is_kept_and_flagged_and_the_first_stands(
    database, town
) -> None:
    with database.write() as connection:
        town.take_in(connection, {"id": "e1", "data": {"amount": 1}})
        taken = town.take_in(connection, {"id": "e1", "data": {"amount": 2}})
        _, other = requests_of(connection)
        [event] = events_of(connection)
    assert taken.conflict
    assert (other.state, other.conflict) == ("duplicate", True)
    assert "another body" in other.reason
    assert b'"amount": 2' in other.body
    assert event.data == {"amount": 1}


def test_one_fact_under_two_ids_is_one_event(database, town) -> None:
    with database.write() as connection:
        town.take_in(connection, {"id": "e1", "fact_key": "f", "data": {"v": 1}})
        taken = town.take_in(connection, {"id": "e2", "fact_key": "f", "data": {"v": 2}})
        [event] = events_of(connection)
    assert taken.state is RequestState.DUPLICATE
    assert not taken.conflict, "a twin has another body by its nature"
    assert (event.external_id, event.duplicates) == ("e1", 1)


def test_a_fact_key_with_a_window_counts_for_so_long_and_an_id_for_ever(database, town) -> None:
    def bring(external_id: str, second: int) -> RequestState:
        event = {"id": external_id, "fact_key": "f", "fact_window_s": 300}
        with database.write() as connection:
            return town.take_in(connection, event, at=NOW + timedelta(seconds=second)).state

    new, known = RequestState.ACCEPTED, RequestState.DUPLICATE
    brought = [("e1", 0, new), ("e2", 299, known), ("e2", 300, new), ("e3", 599, known),
               ("e1", 700, known), ("e2", 700, known), ("e3", 1000, new),
               ("early", -1000, known)]  # fmt: skip
    for external_id, second, state in brought:
        assert bring(external_id, second) is state, (external_id, second)
    with database.read() as connection:
        events, requests = events_of(connection), requests_of(connection)
        assert [one.external_id for one in events] == ["e1", "e2", "e3"]
        assert sum(one.duplicates for one in events) == 5
        assert len(deliveries_of(connection)) == 3
        assert len(requests) == len(brought)


def test_requests_that_are_verified_again_are_one_event_whatever_the_window(database, town) -> None:
    """Attempts to send one event, which were refused for an hour, and then one that was not."""
    event = {"fact_key": "f", "fact_window_s": 300}
    for minute, is_stored in ((60, False), (0, True), (10, True), (61, False)):
        prepared = town.prepared(event | {"id": f"e{minute}"}, at=NOW + timedelta(minutes=minute))
        prepared = replace(prepared, batch=replace(prepared.batch, is_stored=is_stored))
        with database.write() as connection:
            ingest(connection, prepared)
    with database.read() as connection:
        [event] = events_of(connection)
    assert (event.external_id, event.duplicates) == ("e60", 3)


def test_a_repetition_whose_key_is_deleted_meanwhile_is_a_new_event(database, town) -> None:
    prepared = town.prepared({"id": "e1"})
    with database.write() as connection:
        assert ingest_known(connection, prepared).state is RequestState.ACCEPTED
    with database.read() as connection:
        assert len(events_of(connection)) == len(deliveries_of(connection)) == 1


def test_a_stored_event_with_a_window_is_not_stored_again_by_a_second_write(database, town) -> None:
    prepared = town.prepared({"id": "e1", "fact_key": "f", "fact_window_s": 300})
    for _ in range(2):
        with database.write() as connection:
            assert ingest(connection, prepared).state is RequestState.ACCEPTED
    with database.read() as connection:
        assert len(events_of(connection)) == len(requests_of(connection)) == 1


def test_the_same_id_at_two_sources_is_two_events(database, town) -> None:
    with database.write() as connection:
        town.take_in(connection, {"id": "e1"})
        [key] = rows(connection, EventKey, EventKey.source)
        connection.execute(EventKey.__table__.update().values(source="elsewhere"))
        assert town.take_in(connection, {"id": "e1"}).state is RequestState.ACCEPTED
    assert key.source == "provider"


def test_keys_outlive_events(database, town) -> None:
    town.routes = []
    with database.write() as connection:
        town.take_in(connection, {"id": "e1"})
        connection.execute(delete(StoredEvent))
        assert town.take_in(connection, {"id": "e1"}).state is RequestState.DUPLICATE
        assert events_of(connection) == []


def test_what_cannot_be_read_is_kept_with_the_reason(database, town) -> None:
    with database.write() as connection:
        taken = town.take_in(connection, body=b"torn")
        [kept] = requests_of(connection)
    assert taken.state is RequestState.UNREADABLE
    assert (kept.state, kept.reason, kept.body) == ("unreadable", "the body is torn", b"torn")


def test_what_does_not_verify_is_a_refusal_that_may_leave_a_trace(town) -> None:
    refusal = town.receiver.prepare(request({"id": "e1"}, key="bad"), "provider")
    assert refusal == Refusal(401, "the header `key` is wrong", keeps_trace=True)


@pytest.mark.parametrize(("size", "kept"), [(64 * 1024, True), (64 * 1024 + 1, False)])
def test_a_rejected_request_leaves_a_bounded_trace(database, size: int, kept: bool) -> None:
    with database.write() as connection:
        refused = request(body=b"x" * size, key="bad")
        store_rejected(connection, source="provider", request=refused, reason="wrong key")
        [trace] = requests_of(connection)
    assert (trace.state, trace.reason, trace.signed_by) == ("rejected", "wrong key", None)
    assert trace.size_bytes == size
    assert (trace.body is not None) is kept
    assert "authorization" not in trace.headers


def test_an_incomplete_event_is_stored_and_not_matched(database, town) -> None:
    with database.write() as connection:
        town.take_in(connection, {"id": "e1", "incomplete": True})
        [event] = events_of(connection)
        assert event.state == "incomplete"
        assert deliveries_of(connection) == []


def test_what_a_database_cannot_keep_is_mended_and_said(database) -> None:
    town = Town(routes=[route(with_={"body": "{{ data.name }}"})])
    body = rb'[{"id": "e1", "data": {"name": "J\u0000ane \ud800", "x\u0000y": [1, "\udfff"]}}]'
    with database.write() as connection:
        town.take_in(connection, body=body)
        [event], [delivery] = events_of(connection), deliveries_of(connection)
    assert event.data["name"] == "J\ufffdane \ufffd"
    assert event.data["x\ufffdy"] == [1, "\ufffd"]
    assert "name" in event.data_error
    assert delivery.state == "pending"


def test_of_a_batch_the_old_are_counted_and_the_new_are_stored(database, town) -> None:
    with database.write() as connection:
        town.take_in(connection, {"id": "e1"}, {"id": "e2"})
        taken = town.take_in(connection, {"id": "e3"}, {"id": "e2"}, {"id": "e1"}, {"id": "e4"})
        events = {event.external_id: event for event in events_of(connection)}
        _, batch = requests_of(connection)
        assert len(deliveries_of(connection)) == 4
    assert taken.state is RequestState.ACCEPTED
    assert set(taken.new_event_ids) == {events["e3"].id, events["e4"].id}
    assert [events[id].duplicates for id in ("e1", "e2", "e3", "e4")] == [1, 1, 0, 0]
    assert batch.state == "accepted"
    assert batch.event_id in taken.new_event_ids
    assert not batch.conflict


def test_a_batch_with_a_conflict_is_accepted_and_flagged(database, town) -> None:
    with database.write() as connection:
        town.take_in(connection, {"id": "e1"})
        taken = town.take_in(connection, {"id": "e1", "data": {"a": 1}}, {"id": "e2"})
        _, batch = requests_of(connection)
    assert taken.state is RequestState.ACCEPTED
    assert batch.conflict
    assert batch.reason


def test_the_same_event_twice_in_one_batch_is_one(database, town) -> None:
    with database.write() as connection:
        taken = town.take_in(connection, {"id": "e1"}, {"id": "e1"}, {"id": "e2"})
        assert [event.external_id for event in events_of(connection)] == ["e1", "e2"]
        assert len(deliveries_of(connection)) == 2
    assert len(taken.new_event_ids) == 2


def test_two_who_bring_the_same_event_at_once_make_one(database, town) -> None:
    def bring(n: int) -> RequestState:
        with database.write() as connection:
            return town.take_in(connection, {"id": f"e{n // 2}"}).state

    with ThreadPoolExecutor(4) as pool:
        states = list(pool.map(bring, range(50)))
    assert states.count(RequestState.ACCEPTED) == 25
    with database.read() as connection:
        assert [event.duplicates for event in events_of(connection)] == [1] * 25
        assert len(deliveries_of(connection)) == 25


def test_an_answer_lost_after_the_commit_is_not_a_duplicate(database, town) -> None:
    prepared = town.prepared({"id": "e1"}, {"id": "e2"})
    with database.write() as connection:
        ingest(connection, prepared)
    with database.write() as connection:
        again = ingest(connection, prepared)
        assert [event.duplicates for event in events_of(connection)] == [0, 0]
        assert len(requests_of(connection)) == 1
        assert len(deliveries_of(connection)) == 2
        assert len(again.new_event_ids) == 2
        assert attempts_of(connection) == []
        [first, second] = connection.scalars(select(EventKey.event_id))
    assert set(again.new_event_ids) == {first, second}


def test_events_that_name_nobody_need_no_folding(database, town) -> None:
    with database.write() as connection:
        town.take_in(connection, {"id": "e1"}, {"id": "e2", "data": {"phone": "+12125550123"}})
        assert [event.folded for event in events_of(connection)] == [True, False]
