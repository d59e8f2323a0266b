"""Pages of searches and lists: every event once, newest first, whatever each step contained."""

from datetime import timedelta
from itertools import product

import pytest
from sqlalchemy import delete, event, update

from hub.core.models import Delivery, StoredEvent
from hub.core.queries import events as board
from hub.core.queries.event_rows import EventFilter
from hub.core.queries.events import list_events
from hub.core.search import full_text
from hub.core.search.indexer import index_some
from hub.core.search.search import read_query
from tests.core.making import NOW, events_of, route

WALKS = [((5, 9),), ((5, 1), (8, 2), (20, 3)), ((100, 3),)]
EVENTS = 40


@pytest.fixture
def connection(database):
    with database.write() as connection:
        yield connection


@pytest.fixture(params=WALKS, ids=str)
def small_steps(request, monkeypatch):
    monkeypatch.setattr(full_text, "STEP", 3)
    monkeypatch.setattr(full_text, "NEWEST_FIRST_STEPS", (*request.param, (50, 3)))


def fill(connection, town, make):
    """Ingest `EVENTS` events, nine days apart, the newest first."""
    for n in range(EVENTS):
        town.take_in(connection, {"id": name(n)} | make(n), at=NOW - timedelta(days=9 * n))
    while index_some(connection, most=7):
        pass


def name(n):
    return f"e{n:02}"


def names(wanted):
    return [name(n) for n in range(EVENTS) if wanted(n)]


def pages(connection, text="", *, most=4, **filters):
    query = read_query(text, country="US") if text else None
    before = None
    for _ in range(200):
        page = list_events(
            connection, EventFilter(query=query, **filters), most=most, before=before
        )
        assert len(page.rows) <= most
        yield page
        before = page.older
        if before is None:
            return
    raise AssertionError("the pages have no end")


def all_of(connection, text="", **filters):
    found = pages(connection, text, **filters)
    return [row.external_id for page in found for row in page.rows]


@pytest.mark.usefixtures("small_steps")
@pytest.mark.parametrize("most_eras", [full_text.MOST_PARTITIONS, 3])
def test_pages_of_a_search_hold_every_event_once_newest_first(
    connection, town, monkeypatch, most_eras
):
    monkeypatch.setattr(full_text, "MOST_PARTITIONS", most_eras)
    rare = {"name": "Common", "email": "rare@example.com"}
    fill(connection, town, lambda n: {"data": {"name": "Common"} if n % 9 else rare})
    for text, every in (("common", 1), ("rare@example.com", 9)):
        assert all_of(connection, text) == names(lambda n, every=every: n % every == 0)
        for first, last in ((0, 100), (95, 200), (30, 31), (300, 400), (1000, 2000)):
            times = {"until": NOW - timedelta(days=first), "since": NOW - timedelta(days=last)}
            some = names(lambda n, f=first, t=last, every=every: f < 9 * n <= t and not n % every)
            assert all_of(connection, text, **times) == some


MOSTS = [(10, 1000), (1, 1000), (2, 1000), (10, 7)]


@pytest.mark.usefixtures("small_steps")
def test_pages_of_a_search_that_is_filtered_too_leave_nothing_out(connection, town, monkeypatch):
    few = "sms.sent"
    fill(connection, town, lambda n: {
        "type": "payment.paid" if n % 7 else few, "live": n % 2 == 0, "data": {"name": "Common"},
    })  # fmt: skip
    since = NOW - timedelta(days=9 * 30)
    filtered = (
        ({}, lambda n: True),
        ({"type": few}, lambda n: n % 7 == 0),
        ({"type": "sms.*", "live": False}, lambda n: n % 14 == 7),
        ({"source": "provider", "since": since}, lambda n: n <= 30),
        ({"type": "pay*", "since": since, "until": NOW}, lambda n: 1 <= n <= 30 and n % 7),
        ({"state": "held"}, lambda n: False),
    )
    for most, (steps, found) in product((1, 4, 50), MOSTS):
        monkeypatch.setattr(board, "MOST_STEPS", steps)
        monkeypatch.setattr(board, "MOST_FOUND", found)
        for filters, wanted in filtered:
            case = (most, steps, found, filters)
            assert all_of(connection, "common", most=most, **filters) == names(wanted), case


@pytest.mark.usefixtures("small_steps")
def test_pages_of_a_search_hold_what_an_id_names_in_its_place(connection, town):
    town.routes = [route()]
    fill(connection, town, lambda n: {"data": {"name": "Other" if n % 5 == 3 else "Their-1"}})
    named = [row.id for row in events_of(connection) if row.external_id in names(lambda n: n > 20)]
    ref = update(Delivery).where(Delivery.event_id.in_(named)).values(provider_ref="their-1")
    connection.execute(ref)
    wanted = names(lambda n: n > 20 or n % 5 != 3)
    assert all_of(connection, "their-1") == wanted
    newest = names(lambda n: 2 <= n <= 25 and (n > 20 or n % 5 != 3))
    times = {"since": NOW - timedelta(days=9 * 25), "until": NOW - timedelta(days=9)}
    assert all_of(connection, "their-1", source="provider", **times) == newest


@pytest.mark.usefixtures("small_steps")
def test_what_is_found_and_no_longer_there_leaves_no_gap(connection, town):
    town.routes = []
    fill(connection, town, lambda n: {"data": {"name": "Common"}})
    gone = names(lambda n: n < 6 or n % 3 == 0)
    connection.execute(delete(StoredEvent).where(StoredEvent.external_id.in_(gone)))
    left = names(lambda n: n >= 6 and n % 3)
    for most in (1, 4, 50):
        assert all_of(connection, "common", most=most) == left
        assert all_of(connection, "common", most=most, source="provider") == left


@pytest.mark.usefixtures("small_steps")
def test_a_page_of_a_search_reads_its_events_in_one_go(connection, town):
    fill(connection, town, lambda n: {"data": {"name": "Common"}})
    read = []
    with_rows = "pg_column_size" if connection.dialect.name == "postgresql" else "length("

    def note(_connection, cursor, statement, *_):
        if with_rows in statement:
            read.append(statement)

    event.listen(connection, "before_cursor_execute", note)
    page = next(pages(connection, "common", most=10))
    assert [row.external_id for row in page.rows] == names(lambda n: n < 10)
    assert len(read) == 1


def test_a_page_that_was_not_filled_says_how_far_it_has_looked(connection, town, monkeypatch):
    monkeypatch.setattr(board, "MOST_WALKS", 2)
    monkeypatch.setattr(board, "WALKED_ROWS", 5)
    for n in range(30):
        kind = "sms.sent" if n == 0 else "lead.submitted"
        town.take_in(connection, {"id": name(n), "type": kind, "live": n != 0})
    first = list_events(connection, EventFilter(source="provider", live=True), most=50)
    assert (len(first.rows), first.older, bool(first.looked_to)) == (10, first.rows[-1].id, True)
    assert len(all_of(connection, source="provider", live=True)) == 29


def test_a_search_that_looked_far_enough_says_how_far(connection, town, monkeypatch):
    monkeypatch.setattr(full_text, "STEP", 3)
    monkeypatch.setattr(full_text, "NEWEST_FIRST_STEPS", ((5, 9), (50, 3)))
    monkeypatch.setattr(board, "MOST_STEPS", 2)
    fill(connection, town, lambda n: {"live": n % 4 == 3, "data": {"name": "Common"}})
    looked = list(pages(connection, "common", live=True))
    assert [row.external_id for page in looked for row in page.rows] == names(lambda n: n % 4 == 3)
    unfilled = looked[:-1]
    assert all(page.looked_to for page in unfilled if len(page.rows) < 4)
    assert any(page.looked_to for page in unfilled)
