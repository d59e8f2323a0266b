"""Bodies and requests that retention deletes, and those that somebody still needs."""

from datetime import timedelta

import pytest
from sqlalchemy import insert, select, update

from hub.core.events.edited_copies import copy_event
from hub.core.inbound.ingest import ingest, new_request_row, store_rejected
from hub.core.models import Alert, Delivery, StoredEvent, StoredRequest
from hub.core.monitoring import alerts
from tests.core.making import NOW, request, requests_of
from tests.core.retention.aging import DAY, Attic, count
from tests.receiving import prepare

OLD = NOW - 91 * DAY


def bodies(attic: Attic) -> list[bool]:
    with attic.database.read() as connection:
        return [row.body is not None for row in requests_of(connection)]


def test_a_body_goes_with_headers_and_query_and_the_rest_stays(attic) -> None:
    with attic.database.write() as connection:
        [event_id] = attic.store(connection, OLD, "e1")
        attic.attempt(connection, event_id)
        connection.execute(update(StoredRequest).values(url="http://hub/webhooks/x?to=jane&a=?"))
        [before] = requests_of(connection)
    assert attic.clean() == {"bodies": 1, "answers": 1}
    assert attic.clean() == {}
    with attic.database.read() as connection:
        [after] = requests_of(connection)
        assert count(connection, StoredEvent) == count(connection, Delivery) == 1
    assert (after.body, after.headers, after.url) == (None, {}, "http://hub/webhooks/x")
    assert after.body_deleted_at == NOW
    assert (after.size_bytes, after.state, after.event_id) == (
        before.size_bytes, "accepted", event_id,
    )  # fmt: skip


def test_a_duplicate_loses_its_headers_too(attic) -> None:
    with attic.database.write() as connection:
        attic.store(connection, OLD, "e1")
        attic.store(connection, OLD, "e1")
        connection.execute(update(Delivery).values(state="skipped"))
    assert attic.clean() == {"bodies": 2}
    with attic.database.read() as connection:
        assert [row.headers for row in requests_of(connection)] == [{}, {}]


def test_a_body_that_cannot_be_read_goes_as_well(attic) -> None:
    with attic.database.write() as connection:
        torn = prepare(attic.town, request(body=b"torn", at=OLD), "provider")
        ingest(connection, torn)
    assert attic.clean() == {"bodies": 1}
    assert bodies(attic) == [False]
    later = NOW + 310 * DAY
    assert attic.clean(now=later) == {"unreadable requests": 1}


@pytest.mark.parametrize("state", ["waiting", "pending", "running", "retrying", "unknown"])
def test_a_body_stays_as_long_as_a_delivery_may_need_it(attic, state: str) -> None:
    with attic.database.write() as connection:
        one, two = attic.store(connection, OLD, "e1", "e2")
        attic.attempt(connection, one, state)
        attic.attempt(connection, two)
    assert "bodies" not in attic.clean()
    assert bodies(attic) == [True]
    with attic.database.write() as connection:
        connection.execute(update(Delivery).values(state="failed"))
    assert attic.clean()["bodies"] == 1


def test_a_held_lead_keeps_its_body(attic) -> None:
    with attic.database.write() as connection:
        attic.store(connection, OLD, "e1", held=True)
    assert attic.clean() == {}
    assert bodies(attic) == [True]


@pytest.mark.parametrize(("days", "gone"), [(89, False), (91, True)])
def test_a_body_goes_when_it_is_too_old_and_not_before(attic, days: int, gone: bool) -> None:
    with attic.database.write() as connection:
        [event_id] = attic.store(connection, NOW - days * DAY, "e1")
        attic.attempt(connection, event_id)
    attic.clean()
    assert bodies(attic) == [not gone]


def test_the_senders_object_goes_wherever_it_is_stored_apart(attic) -> None:
    """Fetched events and edited copies have it in their data; the other data stay."""
    with attic.database.write() as connection:
        [event_id] = attic.store(connection, OLD, "e1")
        data = {"name": "Jane Doe"}
        at = NOW - DAY
        copy_id, _ = copy_event(connection, attic.town, event_id, data, actor="user:jane", now=at)
        connection.execute(update(Delivery).values(state="succeeded"))
        mine = select(StoredEvent.data).where(StoredEvent.id == copy_id)
        assert connection.execute(mine).scalar_one()["native"]["id"] == "e1"
    assert attic.clean()["bodies"] == 1
    with attic.database.read() as connection:
        assert connection.execute(mine).scalar_one() == {"name": "Jane Doe"}
        first = select(StoredEvent.data).where(StoredEvent.id == event_id)
        assert connection.execute(first).scalar_one() == {"name": "Jane"}


def test_what_did_not_verify_goes_after_two_weeks(attic) -> None:
    with attic.database.write() as connection:
        for days in (13, 15):
            received = request(key="bad", at=NOW - days * DAY)
            store_rejected(connection, source="provider", request=received, reason="no")
    assert attic.clean() == {"rejected requests": 1}
    with attic.database.read() as connection:
        [row] = requests_of(connection)
    assert (row.received_at, row.body_deleted_at) == (NOW - 13 * DAY, None)


def test_what_did_not_verify_stays_while_an_open_alert_says_so_but_not_for_ever(attic) -> None:
    """Once the secret is mended it can be verified again."""
    with attic.database.write() as connection:
        for source, days in (("provider", 15), ("other", 15), ("provider", 91)):
            received = request(key="bad", at=NOW - days * DAY)
            store_rejected(connection, source=source, request=received, reason="no")
        alerts.begin(connection, alerts.NOT_VERIFIED, "source provider", "no", now=NOW)
    assert attic.clean() == {"rejected requests": 2}
    with attic.database.write() as connection:
        [row] = requests_of(connection)
        connection.execute(update(Alert).values(ended_at=NOW))
    assert (row.source, row.received_at) == ("provider", NOW - 15 * DAY)
    assert attic.clean() == {"rejected requests": 1}


def test_a_repeat_goes_by_its_own_age_if_its_event_must_stay(attic) -> None:
    with attic.database.write() as connection:
        [event_id] = attic.store(connection, NOW - 420 * DAY, "e1")
        attic.store(connection, NOW - 410 * DAY, "e1")
        attic.attempt(connection, event_id, "unknown")
    assert attic.clean()["duplicate requests"] == 1
    with attic.database.read() as connection:
        assert [row.state for row in requests_of(connection)] == ["accepted"]


def test_a_request_of_an_earlier_release_is_emptied_too(attic) -> None:
    """Its row has none of the columns that retention needs."""
    with attic.database.write() as connection:
        row = new_request_row("provider", request({"id": "e1"}, at=OLD), signed_by="secrets[0]")
        connection.execute(insert(StoredRequest).values(row))
    assert attic.clean() == {"bodies": 1}


def test_steps_of_one_row_do_as_much_as_large_ones(attic) -> None:
    with attic.database.write() as connection:
        for n in range(5):
            at = OLD + timedelta(seconds=n)
            [event_id] = attic.store(connection, at, f"e{n}")
            attic.attempt(connection, event_id, "unknown" if n == 2 else "failed")
    assert attic.clean(most=1)["bodies"] == 4
    assert bodies(attic) == [False, False, True, False, False]
