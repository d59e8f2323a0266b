"""Contacts: one person under several identities, and two people who share a phone."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import func, select

from hub.core.events.projections import project_some
from hub.core.models import Contact, Identity, StoredEvent
from tests.core.making import NOW, Town, events_of, rows

JANE = {"email": "Jane@Example.com", "name": "Jane"}
PHONE = "+12125550123"


def learn(database, *told: dict[str, Any], type: str = "lead.submitted") -> list[Any]:
    """Fold one event after the other; return the contact of each."""
    town = Town(routes=[])
    with database.write() as connection:
        for n, data in enumerate(told):
            town.take_in(connection, {"id": f"{type} {n}", "type": type, "data": data})
            project_some(connection, town, most=9, now=NOW)
        return [event.contact_id for event in events_of(connection)]


def contacts(database) -> list[Any]:
    with database.read() as connection:
        return rows(connection, Contact)


def test_an_event_that_names_somebody_is_linked_to_a_contact_of_theirs(database) -> None:
    [linked] = learn(database, JANE | {"phone": PHONE, "customer_id": "cus_1"})
    [contact] = contacts(database)
    assert contact.id == linked
    assert (contact.name, contact.email, contact.phone) == ("Jane", "Jane@Example.com", PHONE)
    with database.read() as connection:
        found = {(row.kind, row.value) for row in rows(connection, Identity, Identity.kind)}
        assert connection.scalar(select(StoredEvent.folded))
    assert found == {
        ("email", "jane@example.com"), ("phone", PHONE), ("provider:customer_id", "cus_1"),
    }  # fmt: skip


def test_an_event_that_names_nobody_has_no_contact(database) -> None:
    assert learn(database, {"amount": 5}, {"email": ""}, {"email": None}) == [None, None, None]
    assert contacts(database) == []


def test_one_address_in_any_case_is_one_person(database) -> None:
    assert len(set(learn(database, JANE, {"email": "jane@EXAMPLE.com"}))) == 1
    assert len(contacts(database)) == 1


def test_one_customer_id_is_one_person_even_with_a_new_address(database) -> None:
    told = [{"customer_id": "c1", "email": "a@x.org"}, {"customer_id": "c1", "email": "b@x.org"},
            {"email": "b@x.org"}]  # fmt: skip
    assert len(set(learn(database, *told))) == 1


def test_a_shared_phone_does_not_join_two_people(database) -> None:
    one, other = learn(
        database, {"email": "a@x.org", "phone": PHONE}, {"email": "b@x.org", "phone": PHONE}
    )
    assert one != other


def test_a_phone_that_was_known_alone_becomes_the_persons_who_tells_their_address(database) -> None:
    first, second, third = learn(
        database, {"phone": PHONE}, {"phone": PHONE, "email": "a@x.org"}, {"email": "a@x.org"}
    )
    assert first == second == third


def test_two_customers_with_one_address_stay_two(database) -> None:
    one, other = learn(
        database,
        {"customer_id": "c1", "email": "a@x.org"},
        {"customer_id": "c2", "email": "a@x.org"},
    )
    assert one != other


def test_an_ordinary_event_adds_what_was_not_known_and_changes_nothing(database) -> None:
    learn(database, JANE, {"email": "jane@example.com", "name": "J. Doe", "phone": PHONE})
    [contact] = contacts(database)
    assert (contact.name, contact.phone) == ("Jane", PHONE)


def test_an_event_about_the_person_says_who_they_are_now(database) -> None:
    learn(database, JANE, {"email": "jane@example.com", "name": "Jane Roe"},
          type="customer.changed")  # fmt: skip
    [contact] = contacts(database)
    assert contact.name == "Jane Roe"


@pytest.mark.parametrize(
    "data",
    [
        {"email": "x" * 9000 + "@x.org"},
        {"customer_id": "c" * 9000, "email": "a@x.org"},
        {"email": ["a@x.org"]},
        {"email": {"a": 1}, "name": ["Jane", "Doe"], "phone": 5},
        {"email": "a@x.org", "name": {"first": "Jane"}},
        {"email": True, "phone": 1.5, "customer_id": 7},
    ],
)
def test_no_event_however_strange_stops_the_folding_of_the_others(database, data) -> None:
    linked = learn(database, data, {"email": "fine@x.org"})
    assert linked[1] is not None


def test_only_so_many_are_folded_at_once_the_oldest_first(database) -> None:
    town = Town(routes=[])
    with database.write() as connection:
        for n in range(3):
            town.take_in(connection, {"id": f"e{n}", "data": {"email": f"{n}@x.org"}})
        assert project_some(connection, town, most=2, now=NOW) == 2
        assert [event.folded for event in events_of(connection)] == [True, True, False]
        assert project_some(connection, town, most=2, now=NOW) == 1
        assert project_some(connection, town, most=2, now=NOW) == 0


def test_two_who_fold_one_person_at_once_make_one_contact(database) -> None:
    town = Town(routes=[])
    with database.write() as connection:
        for n in range(40):
            person = n % 4
            town.take_in(
                connection,
                {
                    "id": f"e{n}",
                    "data": {"email": f"{person}@x.org", "phone": f"+1212555012{n % 3}"},
                },
            )
    barrier = Barrier(3)

    def both(_: int) -> None:
        barrier.wait()
        folded = 1
        while folded:
            with database.write() as connection:
                folded = project_some(connection, town, most=7, now=NOW)

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(both, range(3)))
    with database.read() as connection:
        people = select(func.count()).select_from(Contact.__table__)
        assert connection.scalar(people) == 4
        linked = select(func.count(StoredEvent.contact_id.distinct()))
        assert connection.scalar(linked) == 4
        assert connection.scalar(select(func.count()).where(~StoredEvent.folded)) == 0
