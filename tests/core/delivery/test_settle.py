"""Settlement of unknown outcomes: by a person, once, with a reason."""

import pytest
from sqlalchemy import update

from hub.core.delivery.settle import SettleAnswer, settle
from hub.core.errors import NotFound, Refused
from hub.core.ids import new_id
from hub.core.models import Attempt, AuditEntry
from tests.core.making import (
    NOW,
    attempts_of,
    deliveries_of,
    end_lease,
    lease_of,
    one_delivery,
    route,
    rows,
)


@pytest.fixture
def connection(database, town):
    with database.write() as connection:
        town.take_in(connection, {"id": "e1"})
        town.claim(connection, lease_of(connection))
        connection.execute(update(Attempt).values(state="unknown"))
        one_delivery(connection, state="unknown", error="no answer", tries=1)
        yield connection


def answer(connection, how: SettleAnswer, reason: str = "asked Jane"):
    settle(connection, one_delivery(connection), how, reason=reason, actor="cli:jo", now=NOW)
    [delivery], [attempt] = deliveries_of(connection), attempts_of(connection)
    return delivery, attempt


def test_what_arrived_has_succeeded(connection) -> None:
    delivery, attempt = answer(connection, SettleAnswer.ARRIVED)
    assert (delivery.state, delivery.error, attempt.state) == ("succeeded", None, "accepted")
    assert delivery.finished_at is not None
    assert attempt.ended_at is not None


def test_what_is_dropped_has_failed_with_the_reason(connection) -> None:
    delivery, attempt = answer(connection, SettleAnswer.DROP)
    assert (delivery.state, attempt.state) == ("failed", "in_doubt")
    assert delivery.error == "dropped: asked Jane"


def test_what_is_sent_again_goes_out_with_the_same_bytes_as_a_new_attempt(connection, town) -> None:
    delivery, attempt = answer(connection, SettleAnswer.AGAIN)
    assert (delivery.state, delivery.tries, attempt.state) == ("retrying", 0, "not_processed")
    end_lease(connection)
    town.routes = [route(with_={"body": "changed"})]
    [claimed] = town.claim(connection, lease_of(connection))
    assert claimed.parameters == attempt.parameters
    assert claimed.attempt_id != attempt.id


@pytest.mark.parametrize("how", list(SettleAnswer))
def test_the_audit_log_says_who_settled_it_how_and_why(connection, how: SettleAnswer) -> None:
    delivery, _ = answer(connection, how)
    [entry] = rows(connection, AuditEntry)
    assert (entry.actor, entry.action, entry.reason) == ("cli:jo", f"settle.{how}", "asked Jane")
    assert entry.subject == f"delivery {delivery.id}"


@pytest.mark.parametrize("reason", ["", " \n"])
def test_without_a_reason_nothing_is_settled(connection, reason: str) -> None:
    with pytest.raises(Refused, match="--reason"):
        answer(connection, SettleAnswer.ARRIVED, reason)
    assert deliveries_of(connection)[0].state == "unknown"


@pytest.mark.parametrize("state", ["succeeded", "failed", "running", "retrying", "skipped"])
def test_only_what_is_unknown_can_be_settled(connection, state: str) -> None:
    one_delivery(connection, state=state)
    with pytest.raises(Refused, match=f"it is {state}"):
        answer(connection, SettleAnswer.AGAIN)
    assert rows(connection, AuditEntry) == []


def test_settled_twice_is_refused(connection) -> None:
    answer(connection, SettleAnswer.ARRIVED)
    with pytest.raises(Refused):
        answer(connection, SettleAnswer.AGAIN)


def test_a_delivery_that_is_not_there_is_named(connection) -> None:
    with pytest.raises(NotFound, match="no delivery"):
        settle(connection, new_id(NOW), SettleAnswer.DROP, reason="x", actor="cli:jo", now=NOW)
