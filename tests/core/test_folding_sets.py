"""Folding of a set of events: the same contacts as folding them one by one, by a plain model."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import Any
from uuid import UUID, uuid4

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection

from hub.core.contacts import ABOUT_THE_PERSON, FIELDS, Facts, fold_contacts
from hub.core.models import Contact, Identity
from tests.core.making import NOW, rows
from tests.exploring import examples

# Few values, so that events contradict each other often; `shop` and `crm` have ids of their own.
VALUES = {
    "customer_id": [None, "c1", "c2", "c3", 7],
    "email": [None, "", "a@x.org", "A@X.org", "b@x.org", "c@x.org"],
    "phone": [None, "+12125550101", "+12125550102"],
    "name": [None, "", "Jane", "Joe", "O'Neil \u00e9\u4e2d", ["Jane"], {"first": "Jane"}],
}
EVENTS = st.builds(
    Facts,
    event_id=st.builds(uuid4),
    source=st.sampled_from(["shop", "crm"]),
    type=st.sampled_from(["lead.submitted", "customer.changed", "contact.created"]),
    data=st.fixed_dictionaries({k: st.sampled_from(values) for k, values in VALUES.items()}),
)
Person = tuple[frozenset[tuple[str, str]], tuple[str | None, ...]]


@dataclass
class Known:
    """Contact of the model: its identities, and its fields."""

    identities: set[tuple[str, str]] = field(default_factory=set)
    fields: dict[str, str] = field(default_factory=dict)

    def learn(self, facts: Facts) -> None:
        told = {n: v for n in FIELDS if (v := facts.data.get(n)) and isinstance(v, str)}
        is_news = facts.type.startswith(ABOUT_THE_PERSON)
        self.fields = self.fields | told if is_news else told | self.fields


class Model:
    """Model of the rules: all contacts in a list, one event at a time."""

    def __init__(self) -> None:
        self.contacts: list[Known] = []

    def fold(self, facts: Facts) -> int | None:
        """Return the position of an event's contact."""
        named = {
            f"{facts.source}:customer_id": facts.data["customer_id"],
            "email": facts.data["email"] and facts.data["email"].lower(),
            "phone": facts.data["phone"],
        }
        identities = [(kind, str(value)) for kind, value in named.items() if value]
        if not identities:
            return None
        found = self._found(identities)
        if found is None:
            found = Known()
            self.contacts.append(found)
        taken = set().union(*(one.identities for one in self.contacts))
        found.identities |= set(identities) - taken
        found.learn(facts)
        return self.contacts.index(found)

    def _found(self, identities: Sequence[tuple[str, str]]) -> Known | None:
        for n, identity in enumerate(identities):
            for contact in self.contacts:
                if identity in contact.identities:
                    stronger = {kind for kind, _ in identities[:n]}
                    contradicts = any(kind in stronger for kind, _ in contact.identities)
                    return None if contradicts else contact
        return None

    def people(self) -> list[Person]:
        return [
            (frozenset(one.identities), tuple(one.fields.get(name) for name in FIELDS))
            for one in self.contacts
        ]


def people(connection: Connection, linked: Iterable[UUID | None]) -> tuple[list[Person], Any]:
    """Return the contacts in the order in which they were linked first, and the links to them."""
    identities: dict[UUID, set[tuple[str, str]]] = {}
    for row in rows(connection, Identity, Identity.kind):
        identities.setdefault(row.contact_id, set()).add((row.kind, row.value))
    contacts = {row.id: row for row in rows(connection, Contact)}
    order = list(dict.fromkeys(one for one in linked if one))
    assert set(order) == set(contacts), "a contact without an event"
    told = [
        (frozenset(identities.get(one, ())), tuple(getattr(contacts[one], n) for n in FIELDS))
        for one in order
    ]
    return told, [None if one is None else order.index(one) for one in linked]


@settings(
    max_examples=examples(150),
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(events=st.lists(EVENTS, max_size=12), sizes=st.lists(st.integers(1, 6), min_size=12))
def test_sets_of_any_size_make_the_contacts_that_one_by_one_makes(database, events, sizes) -> None:
    model = Model()
    places = [model.fold(facts) for facts in events]
    first = list(dict.fromkeys(place for place in places if place is not None))
    wanted = [model.people()[place] for place in first]
    links = [None if place is None else first.index(place) for place in places]
    ends = [0, *accumulate(sizes)]
    cuts = {
        "one by one": [[one] for one in events],
        "some at once": [events[a:b] for a, b in pairwise(ends)],
        "all at once": [events],
    }
    for name, sets in cuts.items():
        with database.write() as connection:
            linked = [id_ for told in sets for id_ in fold_contacts(connection, told, now=NOW)]
            assert people(connection, linked) == (wanted, links), name
            connection.rollback()
