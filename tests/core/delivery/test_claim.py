"""Claims: due deliveries become attempts with frozen parameters, or end with an error sentence."""

from typing import Any

import pytest
from sqlalchemy import func, insert, select, update
from sqlalchemy.exc import IntegrityError

from hub.core.delivery.prepare import delivery_key
from hub.core.ids import new_id
from hub.core.models import Attempt, Contact, Delivery, StoredEvent, database_later
from tests.core.making import (
    NOW,
    Town,
    attempts_of,
    deliveries_of,
    end_lease,
    lease_of,
    make_due,
    one_delivery,
    route,
)


def claim_one(database, town: Town, event: dict[str, Any] | None = None, **options: Any):
    """Ingest an event and claim; return the claims and the delivery."""
    with database.write() as connection:
        town.take_in(connection, {"id": "e1"} | (event or {}))
        claimed = town.claim(connection, lease_of(connection), **options)
        return claimed, deliveries_of(connection)[0]


def test_the_attempt_is_there_with_its_parameters_before_the_call(database, town) -> None:
    [claimed], delivery = claim_one(database, town)
    with database.read() as connection:
        [attempt] = attempts_of(connection)
    assert (delivery.state, delivery.attempts, delivery.tries) == ("running", 1, 1)
    assert (delivery.lane_token, delivery.next_attempt_at) == (1, None)
    assert (attempt.id, attempt.delivery_id) == (claimed.attempt_id, delivery.id)
    assert (attempt.n, attempt.state, attempt.key) == (1, "calling", str(delivery.id))
    assert attempt.parameters == claimed.parameters == {"body": "e1"}
    assert claimed.tries == 1


def test_no_more_are_claimed_than_there_are_slots_and_the_oldest_first(database, town) -> None:
    with database.write() as connection:
        for n in range(5):
            town.take_in(connection, {"id": f"e{n}"})
        for n, delivery in enumerate(deliveries_of(connection)):
            connection.execute(
                update(Delivery)
                .where(Delivery.id == delivery.id)
                .values(next_attempt_at=database_later(n - 10.0))
            )
        lease = lease_of(connection)
        claimed = town.claim(connection, lease, slots=2)
        assert [one.parameters["body"] for one in claimed] == ["e0", "e1"]
        assert len(attempts_of(connection)) == 2
        claimed = town.claim(connection, lease, slots=2)
        assert [one.parameters["body"] for one in claimed] == ["e2", "e3"]


def test_what_is_not_due_or_of_another_lane_is_not_claimed(database) -> None:
    town = Town(routes=[route("a"), route("b", destination="crm"), route("c", delay_s=60)])
    with database.write() as connection:
        town.take_in(connection, {"id": "e1"})
        claimed = town.claim(connection, lease_of(connection))
    assert [one.route.name for one in claimed] == ["a"]


def test_the_sandbox_is_marked_on_delivery_and_attempt(database, town) -> None:
    _, delivery = claim_one(database, town, sandbox=True)
    with database.read() as connection:
        assert delivery.sandbox
        assert attempts_of(connection)[0].sandbox


def test_a_condition_on_the_contact_that_does_not_hold_skips(database) -> None:
    claimed, delivery = claim_one(database, Town(routes=[route(when="contact.phone")]))
    assert claimed == []
    assert (delivery.state, delivery.error, delivery.attempts) == ("skipped", "condition", 0)
    assert delivery.finished_at is not None


def test_a_condition_on_the_contact_sees_the_contact_of_this_very_event(database) -> None:
    town = Town(routes=[route(when="contact.phone", with_={"body": "{{ contact.phone }}"})])
    [claimed], _ = claim_one(database, town, {"data": {"phone": "+12125550123"}})
    assert claimed.parameters == {"body": "+12125550123"}
    with database.read() as connection:
        assert connection.scalar(select(func.count()).select_from(Contact.__table__)) == 1
        assert connection.scalar(select(StoredEvent.folded))


def test_other_deliveries_results_are_seen(database) -> None:
    second = route("b", with_={"body": "{{ results.a.provider_ref }}"}, destination="crm")
    town = Town(routes=[route("a"), second])
    with database.write() as connection:
        town.take_in(connection, {"id": "e1"})
        connection.execute(update(Delivery).where(Delivery.route == "a").values(provider_ref="501"))
        [claimed] = town.claim(connection, lease_of(connection, "crm"))
    assert claimed.parameters == {"body": "501"}


def test_the_providers_own_object_is_read_again_from_the_bytes(database) -> None:
    town = Town(routes=[route(with_={"body": "{{ data.native.id }}"})])
    [claimed], _ = claim_one(database, town)
    assert claimed.parameters == {"body": "e1"}


@pytest.mark.parametrize("when", ["contact.name > 5", "results.all.attempts > 'a'"])
def test_a_condition_that_fails_fails_the_delivery_with_a_sentence(database, when: str) -> None:
    town = Town(routes=[route(when=when)])
    claimed, delivery = claim_one(database, town, {"data": {"name": "Jane", "email": "j@x.org"}})
    assert claimed == []
    if "name" in when:
        assert delivery.state == "failed"
        assert "TypeError" in delivery.error
        assert "Jane" not in delivery.error


def test_a_parameter_that_cannot_be_rendered_fails_the_delivery_naming_the_field(database) -> None:
    town = Town(routes=[route(with_={"to": ["{{ data.phone }}"]})])
    claimed, delivery = claim_one(database, town)
    assert claimed == []
    assert delivery.state == "failed"
    assert delivery.error == "it cannot be rendered: to.0: data.phone is missing"
    assert delivery.attempts == 0


def test_one_that_cannot_be_rendered_keeps_no_other_back(database) -> None:
    town = Town(routes=[route(with_={"body": "{{ data.name }}"})])
    with database.write() as connection:
        town.take_in(connection, {"id": "e1"}, {"id": "e2", "data": {"name": "Jane"}})
        claimed = town.claim(connection, lease_of(connection))
        assert [one.parameters["body"] for one in claimed] == ["Jane"]
        assert {row.state for row in deliveries_of(connection)} == {"failed", "running"}


def test_a_route_that_is_gone_from_the_file_fails_with_what_to_do(database, town) -> None:
    with database.write() as connection:
        town.take_in(connection, {"id": "e1"})
        town.routes = [route("renamed")]
        assert town.claim(connection, lease_of(connection)) == []
        [delivery] = deliveries_of(connection)
    assert delivery.state == "failed"
    assert delivery.error == (
        "route all is not in hub.yaml any more: put it back, or name it in `was`"
    )


def test_an_action_that_the_destination_has_no_more_fails_with_what_to_do(database) -> None:
    claimed, delivery = claim_one(database, Town(routes=[route(action="fax")]))
    assert claimed == []
    assert delivery.state == "failed"
    assert "no action fax" in delivery.error


def test_a_route_that_was_renamed_goes_on(database, town) -> None:
    with database.write() as connection:
        town.take_in(connection, {"id": "e1"})
        town.routes = [route("renamed", was=("all",))]
        [claimed] = town.claim(connection, lease_of(connection))
    assert claimed.route.name == "renamed"


def close(connection, attempt_state: str, **delivery: Any) -> None:
    connection.execute(update(Attempt).values(state=attempt_state))
    one_delivery(connection, **delivery)
    make_due(connection)


def test_parameters_stay_as_they_were_while_the_key_is_the_same(database, town) -> None:
    [first], _ = claim_one(database, town)
    with database.write() as connection:
        close(connection, "not_processed", state="retrying", next_attempt_at=database_later(0))
        town.routes = [route(with_={"body": "changed meanwhile"})]
        connection.execute(update(StoredEvent).values(external_id="changed"))
        [second] = town.claim(connection, hold_of_again(connection))
        attempts = attempts_of(connection)
    assert second.key == first.key
    assert second.parameters == first.parameters == attempts[1].parameters
    assert [attempt.n for attempt in attempts] == [1, 2]
    assert second.tries == 2


def hold_of_again(connection):
    end_lease(connection)
    return lease_of(connection)


def test_after_the_replay_of_a_rejected_one_they_are_rendered_anew_under_a_new_key(
    database, town
) -> None:
    [first], delivery = claim_one(database, town)
    with database.write() as connection:
        close(connection, "rejected", state="pending", key_n=1,
              next_attempt_at=database_later(0))  # fmt: skip
        town.routes = [route(with_={"body": "mended"})]
        [second] = town.claim(connection, hold_of_again(connection))
    assert first.key == str(delivery.id)
    assert second.key == f"{delivery.id}.1" == delivery_key(delivery.id, 1)
    assert second.parameters == {"body": "mended"}


@pytest.mark.parametrize("state", ["calling", "unknown"])
def test_the_database_refuses_a_second_open_attempt(database, town, state: str) -> None:
    [claimed], delivery = claim_one(database, town)
    second = {
        "id": new_id(NOW), "delivery_id": delivery.id, "n": 2, "key": claimed.key,
        "state": state, "parameters": {}, "sandbox": False, "started_at": NOW,
    }  # fmt: skip
    with pytest.raises(IntegrityError), database.write() as connection:
        connection.execute(insert(Attempt), second)
    with database.write() as connection:
        connection.execute(insert(Attempt), second | {"state": "in_doubt"})
