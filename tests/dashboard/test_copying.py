"""Edited copies of events: they cannot act in a provider's name, or in a customer's."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select, update

from hub.core.auth.roles import Role
from hub.core.models import Attempt, Contact, Delivery, EventCopy, StoredEvent
from tests.dashboard.delivering import TOWN, doubt, put
from tests.dashboard.happening import fold_all, pay
from tests.dashboard.people import fields

OURS = {"hub_attempt", "delivery_id", "message_id"}


def copied(board, event_id, data):
    form = {"csrf_token": board.csrf(), "data": json.dumps(data)}
    return board.client(Role.OPERATOR).post(f"/events/{event_id}/copy", data=form)


@pytest.fixture
def town(make_board):
    return make_board(TOWN.replace("adapter: stripe", "adapter: twilio"))


@pytest.mark.parametrize("field", sorted(OURS))
def test_a_copy_settles_no_other_message_in_the_providers_name(town, field):
    with town.hub.store.write() as connection:
        [wanted] = doubt(connection)
        known = {"message_id": "SM1", "hub_attempt": f"{wanted}.9", "delivery_id": "d", "to": "x"}
        put(connection, data=known, event_type="sms.delivered")
        of_it = connection.execute(
            select(StoredEvent.id).where(StoredEvent.type == "sms.delivered")
        ).scalar_one()
        connection.execute(update(Delivery).values(provider_ref="SM2").where(Delivery.id == wanted))
    value = {"hub_attempt": f"{wanted}.1", "delivery_id": str(wanted), "message_id": "SM2"}[field]
    answer = copied(town, of_it, known | {field: value})
    assert answer.status_code == 422
    assert "of which message it tells" in answer.text
    assert copied(town, of_it, {"to": "y"}).status_code == 422
    assert copied(town, of_it, known | {"to": "y"}).status_code == 303
    fold_all(town)
    with town.hub.store.read() as connection:
        states = connection.execute(
            select(Delivery.state, Attempt.closed_by)
            .join(Attempt, Attempt.delivery_id == Delivery.id)
            .where(Delivery.id == wanted)
        ).one()
    assert tuple(states) == ("unknown", None)


def test_a_copy_does_not_say_who_somebody_is_now(board):
    event_id = pay(board, "evt_1")
    fold_all(board)
    with board.hub.store.write() as connection:
        connection.execute(update(StoredEvent).values(type="customer.changed"))
        connection.execute(update(Contact).values(name="Jane Doe", phone="+12025550101"))
        contact_id = connection.execute(select(Contact.id)).scalar_one()
    changed = {"email": "jane@example.com", "name": "Eve", "phone": "+15005550009"}
    copy_id = copied(board, event_id, changed).location.rpartition("/")[2]
    fold_all(board)
    with board.hub.store.read() as connection:
        [person] = connection.execute(select(Contact.__table__)).all()
        of_copy = {
            str(row.id): row.contact_id
            for row in connection.execute(select(StoredEvent.id, StoredEvent.contact_id))
        }[copy_id]
    assert (person.name, person.phone) == ("Jane Doe", "+12025550101")
    assert of_copy in (None, contact_id)


def test_a_copy_that_is_sent_twice_from_one_page_is_one(board):
    event_id = pay(board, "evt_1")
    client, path = board.client(Role.OPERATOR), f"/events/{event_id}/copy"
    known = {"email": "jane@example.com", "amount": 4300, "currency": "USD"}
    form = fields(client, path) | {"data": json.dumps(known)}
    with ThreadPoolExecutor(4) as pool:
        clients = [board.client(Role.OPERATOR) for _ in range(4)]
        made = list(pool.map(lambda one: one.post(path, data=form).location, clients))
    assert len(set(made)) == 1
    again = {"data": json.dumps(known | {"amount": 4400})}
    assert client.post(path, data=form | again).location not in made
    assert client.post(path, data=form | fields(client, path)).location not in made
    with board.hub.store.read() as connection:
        copies = select(EventCopy.event_id)
        assert len(connection.execute(copies).all()) == 3
        deliveries = select(Delivery.id).where(Delivery.event_id.in_(copies))
        assert len(connection.execute(deliveries).all()) == 3
