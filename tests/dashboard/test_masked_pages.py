"""Every recorded webhook, as somebody sees it who may not see personal data: it names nobody."""

import re
from collections.abc import Iterator
from dataclasses import replace
from html import escape
from typing import Any

import pytest

from hub.core.access.roles import Role
from hub.core.configuration import Source
from hub.core.ingest import ingest, prepare
from tests.adapters.contract.recorded import ALL, Fixture, adapter
from tests.dashboard.happening import fold_all

PERSONAL = ("name", "email", "phone", "from", "to", "subject", "text", "html", "body", "message")
SHORTEST = 6
"""What is shorter may stand on a page for another reason."""
TIME = re.compile(r"2026-[0-9-]+T[0-9:.]+Z")
"""So may the time at which it came, which a form's fields hold too."""


@pytest.fixture
def database_url(sqlite_url):
    """One database is enough: what is masked is not the database's business."""
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
    prepared = prepare(
        source=source,
        adapter=board.hub.inbound(source.slug),
        router=board.hub.router,
        request=fixture.signed(),
        signed_by="secrets[0]",
    )
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
