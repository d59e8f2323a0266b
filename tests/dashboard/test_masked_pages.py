"""Masked pages of every recorded webhook: a user without access to personal data sees none."""

import re
from collections.abc import Iterator
from dataclasses import replace
from html import escape
from typing import Any

import pytest
from sqlalchemy import update

from hub.core.auth.roles import Role
from hub.core.configuration import Source
from hub.core.inbound.ingest import ingest
from hub.core.inbound.receive import Receiver
from hub.core.models import StoredEvent
from tests.adapters.contract.recorded import ALL, Fixture, adapter
from tests.dashboard.delivering import TOWN, put
from tests.dashboard.happening import fold_all, pay

PERSONAL = ("name", "email", "phone", "from", "to", "subject", "text", "html", "body", "message")
# Shorter values may appear on a page for another reason.
SHORTEST = 6
# So may the time of arrival, which a form's fields contain too.
TIME = re.compile(r"2026-[0-9-]+T[0-9:.]+Z")


@pytest.fixture
def database_url(sqlite_url):
    """Return one database only, because masking does not depend on the database."""
    return sqlite_url


def personal_values(data: dict[str, Any]) -> Iterator[str]:
    for name in PERSONAL:
        for text in leaves(data.get(name)):
            yield from (line.strip() for line in text.splitlines())
    yield from (value for value in leaves(data.get("fields")) if not TIME.fullmatch(value))


def leaves(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from leaves(inner)


def take_in(board, fixture: Fixture) -> Any:
    source = Source(fixture.provider, fixture.provider, {})
    sources = {**board.hub.configuration.sources, source.slug: source}
    object.__setattr__(
        board.hub, "configuration", replace(board.hub.configuration, sources=sources)
    )
    board.hub._inbound[source.slug] = adapter(fixture.provider)
    receiver = Receiver(sources, board.hub._inbound, board.hub.router)
    prepared = receiver.prepare_verified(fixture.signed(), source.slug, "secrets[0]")
    with board.hub.store.write() as connection:
        return ingest(connection, prepared)


def test_nothing_personal_of_any_recorded_webhook_is_on_its_pages(board):
    taken = [(fixture, take_in(board, fixture)) for fixture in ALL]
    fold_all(board)
    viewer = board.client(Role.VIEWER, sees_personal=False)
    listed = viewer.get("/events").text
    seen, found = 0, []
    for fixture, ingested in taken:
        if not ingested.new_event_ids:
            continue
        pages = [f"/requests/{ingested.request_id}"]
        pages += [f"/events/{one}{end}" for one in ingested.new_event_ids[:2]
                  for end in ("", "/download")]  # fmt: skip
        texts = [viewer.get(page) for page in pages]
        assert {answer.status_code for answer in texts} == {200}, fixture
        text = "\n".join([listed, *(answer.text for answer in texts)])
        for event in ingested.events[:2]:
            for value in set(personal_values(dict(event.data))):
                seen += 1
                if len(value) >= SHORTEST and (value in text or str(escape(value)) in text):
                    found.append((fixture.provider, fixture.path.name, value[:60]))
    assert seen > 100
    assert found == []


def test_whoever_may_see_it_does_and_is_audited_once(board):
    [fixture] = [one for one in ALL if one.provider == "form" and one.name == "submission"]
    event_id = take_in(board, fixture).new_event_ids[0]
    admin = board.client(Role.ADMIN)
    [event] = fixture.expected
    assert escape(event["data"]["name"]) in admin.get(f"/events/{event_id}").text
    admin.get(f"/events/{event_id}")
    with board.hub.store.read() as connection:
        rows = connection.exec_driver_sql(
            "SELECT subject FROM audit_log WHERE action = 'view.personal'"
        ).all()
    assert [row[0] for row in rows] == [f"event {event_id}"]


def test_whoever_sees_masks_finds_nobody_by_what_is_under_them(board):
    event_id = pay(board, "evt_1", shipping={"name": "Jane Doe"})
    fold_all(board)
    masked = board.client(Role.VIEWER, sees_personal=False)
    other = board.client(Role.VIEWER, name="sees")
    row = f"/events/{event_id}"
    for query in ("jane", "jan*", "jane@example.com", "example.com", "JANE $42.00", "doe"):
        assert row in other.get("/events", query_string={"q": query}).text, query
        assert row not in masked.get("/events", query_string={"q": query}).text, query
    for query in ("evt_1", str(event_id), "$42.00"):
        assert row in masked.get("/events", query_string={"q": query}).text, query


def test_an_address_as_an_id_is_not_found_by_whoever_sees_masks(board):
    event_id = pay(board, "evt_1")
    with board.hub.store.write() as connection:
        connection.execute(update(StoredEvent).values(external_id="jane@example.com"))
    masked = board.client(Role.VIEWER, sees_personal=False)
    assert f"/events/{event_id}" not in masked.get("/events?q=jane@example.com").text


def test_errors_are_searched_by_those_alone_who_see_all_of_them(make_board):
    board = make_board(TOWN)
    with board.hub.store.write() as connection:
        put(connection, error="+12025550101 is blocked")
    masked = board.client(Role.OPERATOR, sees_personal=False)
    form = {"csrf_token": board.csrf(), "token": "form-0001", "q": "+1202"}
    assert masked.get("/deliveries").status_code == 200
    assert 'name="q"' not in masked.get("/deliveries").text
    for path in ("/deliveries?q=%2B1202", "/replays/preview?q=%2B1202"):
        assert masked.get(path).status_code == 403
    for path in ("/replays", "/replays/preview"):
        assert masked.post(path, data=form).status_code == 403
    assert board.client(Role.OPERATOR, name="all").get("/deliveries?q=%2B1202").status_code == 200


def test_why_a_lead_is_held_is_told_without_its_addresses(board):
    pay(board, "evt_1")
    values = {"state": "held", "held_reason": "the same as of jane@example.com"}
    with board.hub.store.write() as connection:
        connection.execute(update(StoredEvent).values(**values))
    text = board.client(Role.VIEWER, sees_personal=False).get("/held").text
    assert "the same as of" in text
    assert "jane@" not in text


def test_a_type_that_names_somebody_is_masked_beside_the_delivery(make_board):
    board = make_board(TOWN)
    with board.hub.store.write() as connection:
        put(connection, event_type="crm.jane@example.com")
    masked = board.client(Role.VIEWER, sees_personal=False)
    assert "jane@" not in masked.get("/deliveries").text
