"""Event list and search: the results, their order, and their cost."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.models import StoredEvent
from hub.core.queries.event_rows import EventFilter, types_seen
from hub.core.queries.events import list_events, list_newer
from hub.core.search.indexer import index_some
from hub.core.search.search import found_by, read_query
from hub.core.search.tokenizer import MOST_CHARACTERS, fold, terms_of, words_of
from tests.core.making import NOW, events_of, route
from tests.timing import little_work

JANE = {
    "name": "José Núñez",
    "email": "Jane.Doe@example.com",
    "phone": "+15551234567",
    "amount": 4200,
    "currency": "USD",
    "message": "The roof leaks, please call",
    "message_id": "SM123",
}


@pytest.fixture
def connection(database):
    with database.write() as connection:
        yield connection


def take_in(connection, town, *events, index=True):
    for event in events:
        town.take_in(connection, event)
    while index and index_some(connection, most=3):
        pass


def found(connection, text="", *, most=50, before=None, **filters):
    query = read_query(text, country="US") if text else None
    page = list_events(connection, EventFilter(query=query, **filters), most=most, before=before)
    return [row.external_id for row in page.rows]


@pytest.mark.parametrize(
    "text",
    ["jose nunez", "NÚÑEZ", "jane.doe@EXAMPLE.com", "@example.com", "(555) 123-4567",
     "+1 555 123 4567", "555.123.4567", "15551234567", "$42.00", "42.00", "42", "e1", "leaks roof",
     "lea*", "jane.doe", "lead"],
)  # fmt: skip
def test_an_event_is_found_by_what_people_know_of_it(connection, town, text):
    take_in(connection, town, {"id": "e1", "data": JANE}, {"id": "e2", "type": "sms.sent"})
    assert found(connection, text) == ["e1"]


@pytest.mark.parametrize(
    "text",
    ["%", "_", "*", "'", '"', "\\", "a' OR '1'='1", 'x" OR "', "NEAR(", "AND", "-", "🦖", "\x00",
     "(", "a:*", "!", "&", "|", "<->", "{}", "zzz*", "roof AND leaks NOT", "^lea", "words:roof",
     " ", "\ud800x", "ﷺ" * 60, "1" * 100, "+" * 100, "@" * 100],
)  # fmt: skip
def test_no_text_breaks_the_search_or_finds_what_is_not_there(connection, town, text):
    take_in(connection, town, {"id": "e1", "data": JANE})
    assert found(connection, text) == []


@given(text=st.text(max_size=60))
def test_any_text_makes_terms_that_hold_no_quotes(text):
    for term in terms_of(text, country="US"):
        for word in term.words:
            assert word
            assert not set(word) & set("\"'\\ ()|&!:*<>")


def test_an_event_is_found_by_the_ids_of_what_hangs_on_it(connection, town):
    town.routes = [route()]
    take_in(connection, town, {"id": "e1"}, {"id": "e2"})
    connection.exec_driver_sql("UPDATE deliveries SET provider_ref = 'their-1'")
    [row, _] = events_of(connection)
    delivery = connection.exec_driver_sql(
        f"SELECT id FROM deliveries WHERE event_id = '{_key(connection, row.id)}'"
    ).scalar_one()
    for wanted in (row.id, row.request_id, delivery):
        assert found(connection, str(wanted)) == ["e1"]
    assert found(connection, "their-1") == ["e2", "e1"]


def _key(connection, wanted):
    return wanted.hex if connection.dialect.name == "sqlite" else wanted


def test_news_of_what_was_sent_is_found_by_its_ids(connection, town):
    take_in(
        connection, town, {"id": "e1", "data": {"message_id": "<A.b@x>", "hub_attempt": "D-1.2"}}
    )
    [row] = events_of(connection)
    for word in ("<A.b@x>", "D-1"):
        assert found_by(connection, [word], most=5) == [row.id]
    assert found_by(connection, ["D-2"], most=5) == []
    assert found_by(connection, [], most=5) == []


@pytest.mark.parametrize(
    ("filters", "wanted"),
    [
        ({"type": "payment.*"}, ["e3", "e1"]),
        ({"type": "payment.failed"}, ["e3"]),
        ({"type": "*.sent"}, ["e2"]),
        ({"type": "pay%"}, []),
        ({"type": "paymen_.failed"}, []),
        ({"type": "[p]*"}, []),
        ({"source": "provider"}, ["e3", "e2", "e1", "e0"]),
        ({"source": "else"}, []),
        ({"live": False}, ["e2"]),
        ({"live": True, "type": "payment.*"}, ["e3", "e1"]),
        ({"state": "unmatched"}, ["e3", "e2", "e1"]),
        ({"state": "matched"}, ["e0"]),
        ({"state": "held"}, []),
        ({"since": NOW + timedelta(seconds=2)}, ["e3", "e2"]),
        ({"until": NOW + timedelta(seconds=2)}, ["e1", "e0"]),
        ({"since": NOW + timedelta(seconds=1), "until": NOW + timedelta(seconds=2)}, ["e1"]),
    ],
    ids=str,
)
def test_filters_show_what_they_say(connection, town, filters, wanted):
    take_in(
        connection, town, {"id": "e0"}, {"id": "e1", "type": "payment.succeeded"},
        {"id": "e2", "type": "sms.sent", "live": False}, {"id": "e3", "type": "payment.failed"},
    )  # fmt: skip
    assert found(connection, **filters) == wanted
    assert found(connection, "provider", **filters) == wanted


def test_newer_events_come_in_the_order_in_which_they_came(connection, town):
    take_in(connection, town, {"id": "e0"}, {"id": "e1"}, {"id": "e2"}, {"id": "e3"})
    first = events_of(connection)[0].id
    rows = list_newer(connection, EventFilter(), after=first, most=2)
    assert [row.external_id for row in rows] == ["e2", "e1"]
    rows = list_newer(connection, EventFilter(), after=rows[0].id, most=2)
    assert [row.external_id for row in rows] == ["e3"]


def test_events_are_indexed_once_and_again_when_they_say_more(connection, town):
    take_in(connection, town, {"id": "e1", "data": {"name": "Before"}})
    assert index_some(connection, most=10) == 0
    connection.execute(StoredEvent.__table__.update().values(indexed=False, data={"name": "After"}))
    assert index_some(connection, most=10) == 1
    assert found(connection, "before") == []
    assert found(connection, "after") == ["e1"]


def test_an_event_with_much_in_it_still_has_its_sentence(connection, town):
    take_in(connection, town, {"id": "e1", "data": {"name": "Jane", "html": "x" * 500_000}})
    [row] = list_events(connection, EventFilter(), most=5).rows
    assert row.data == {"name": "Jane"}


def test_what_is_kept_of_one_event_is_bounded():
    data = {"text": " ".join(f"word{n}" for n in range(50_000)), "fields": {"a": ["x" * 9999] * 99}}
    words = words_of("lead.submitted", "contact", "e1", data)
    assert len(" ".join(words)) <= MOST_CHARACTERS
    assert max(map(len, words)) <= 100


def test_the_types_that_there_are_come_in_order(connection, town):
    assert types_seen(connection) == []
    take_in(connection, town, *({"id": f"e{n}", "type": f"x.{n % 3}"} for n in range(9)))
    assert types_seen(connection) == ["x.0", "x.1", "x.2"]


@given(st.text("ab \u0301\u0315\u00e9\u00c5\ufb01\u00df\u0130"))
def test_a_long_text_is_folded_as_its_letters_are(text: str) -> None:
    assert fold(text * 100) == "".join(fold(letter) for letter in text) * 100


def test_accents_by_the_thousand_on_one_letter_keep_nobody_busy() -> None:
    with little_work(1):
        assert fold("a" + "\u0315\u0300" * 25_000) == "a"
