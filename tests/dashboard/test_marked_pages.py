"""Marked pages: no word of a person in any webhook, answer or note is on a page for a viewer.

A page that is added to the dashboard is asked for here without being named.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from html import unescape
from typing import Any
from urllib.parse import quote

import pytest
from werkzeug.routing import Rule

from hub.core.auth.roles import Role
from hub.core.configuration import Source
from hub.core.inbound.ingest import ingest
from hub.core.inbound.receive import Receiver
from hub.core.queries.unknown import alike
from tests.adapters.contract.recorded import ALL, PROVIDERS, Fixture, adapter
from tests.dashboard.board import Board
from tests.dashboard.happening import fold_all
from tests.dashboard.marked_rows import DIGITS, LOWER, MARKED_TOWN, WORD, fill
from tests.dashboard.marking import (
    ABROAD,
    BIRTH,
    HANDLE,
    MARKS,
    VARIANTS,
    Marker,
    fields_of,
    found_in,
    texts_of,
)

# Every text is marked twice, with marks of different shapes.
TURNS = (0, 3)
# Pages for the one person who was told of a lead, by a link of their own.
FOR_THE_PERSON = "acknowledging."
WITHOUT = {"/static/<path:filename>"}


@pytest.fixture
def database_url(sqlite_url):
    """Return one database only, because masking does not depend on the database."""
    return sqlite_url


@pytest.fixture
def town(make_board) -> Board:
    return make_board(MARKED_TOWN)


def take_in(board: Board, fixture: Fixture, marker: Marker, slug: str) -> Any:
    """Store a marked request past its verification; return what became of it."""
    sources = {**board.hub.configuration.sources, slug: Source(slug, fixture.provider, {})}
    configuration = replace(board.hub.configuration, sources=sources)
    object.__setattr__(board.hub, "configuration", configuration)
    board.hub._inbound[slug] = adapter(fixture.provider)
    receiver = Receiver(sources, board.hub._inbound, board.hub.router)
    prepared = receiver.prepare_verified(marker.request(fixture), slug, "secrets[0]")
    with board.hub.store.write() as connection:
        return ingest(connection, prepared)


def taken_in(board: Board) -> list[Any]:
    return [
        take_in(board, fixture, Marker(variant, at + n), f"{fixture.provider}-{variant}-{turn}")
        for at, fixture in enumerate(ALL)
        for turn in TURNS
        for n, variant in enumerate(VARIANTS, turn)
    ]


def leaks(client: Any, path: str, **more: Any) -> list[str]:
    """Return what of a mark an answer contains; it must be a page, a file or a refusal."""
    answer = client.get(path, **more)
    assert answer.status_code in (200, 204, 302, 303, 400, 403, 404, 405), (
        f"{path}: {answer.status}"
    )
    return [
        f"{path}: {mark}"
        for text in texts_of(dict(answer.headers), answer.get_data(as_text=True))
        for mark in found_in(text)
    ]


def test_no_mark_of_any_recorded_webhook_is_on_its_pages(board):
    taken = taken_in(board)
    fold_all(board)
    viewer = board.client(Role.VIEWER, sees_personal=False)
    paths = {"/", "/events", "/events/newer?after=00000000-0000-0000-0000-000000000000", "/sources"}
    paths |= {f"/sources/{slug}" for slug in board.hub.configuration.sources}
    paths |= set(_older(viewer, "/events"))
    assert leaks_of(viewer, paths | set(paths_of(taken))) == []
    assert len(taken) == len(ALL) * len(VARIANTS) * len(TURNS)
    assert sum(bool(one.new_event_ids) for one in taken) > 0.6 * len(taken)


def test_no_mark_of_any_single_field_is_on_the_pages(board):
    """Mark one field at a time, with what any adapter takes for an id or a type."""
    taken, known = [], set()
    for fixture in ALL:
        for name in sorted(fields_of(fixture)):
            if (fixture.provider, name) not in known:
                known.add((fixture.provider, name))
                marks = (LOWER, DIGITS, WORD, ABROAD, HANDLE, BIRTH)
                marker = Marker(name, len(known), marks)
                slug = f"{fixture.provider}-{len(known)}"
                taken.append(take_in(board, fixture, marker, slug))
    viewer = board.client(Role.VIEWER, sees_personal=False)
    assert leaks_of(viewer, {"/events", *_older(viewer, "/events"), *paths_of(taken)}) == []
    assert sum(bool(one.new_event_ids) for one in taken) > 0.8 * len(taken)


def paths_of(taken: list[Any]) -> Iterator[str]:
    """Yield the addresses of requests, and of their first events."""
    for ingested in taken:
        yield f"/requests/{ingested.request_id}"
        yield f"/requests/{ingested.request_id}/raw"
        for event_id in ingested.new_event_ids[:2]:
            yield from (f"/events/{event_id}{end}" for end in ("", "/download", "/attachments/1"))


def leaks_of(client: Any, paths: set[str]) -> list[str]:
    script = {"HX-Request": "true"}
    return [leak for path in sorted(paths) for leak in leaks(client, path, headers=script)]


def test_the_marks_would_be_seen_by_whoever_may(board):
    """Hold the marks themselves: all of them reach the pages of a user who may see them."""
    fixture = next(one for one in ALL if one.label == "stripe/payment_intent.succeeded.json")
    event_id = take_in(board, fixture, Marker("kept"), "stripe").new_event_ids[0]
    seen = leaks(board.client(Role.VIEWER), f"/events/{event_id}")
    assert len({leak.rpartition(": ")[2] for leak in seen}) >= 5


# What somebody without the right to personal data needs to do their work, by recorded webhook.
NEEDED = {
    "calendly/invitee.created.json": (
        "booking.created", "invitee.created", "active", "2026-06-10T06:30:00Z"),
    "form/submission.form": ("lead.submitted", "message", "topic"),
    "github/push.json": ("github.push", "72d3162e-cc78-11e3-81ab-4c9367dc0958",
                         '"id": 186853002', '"pushed_at": 1557933657'),
    "hmac/order.placed.json": ("hmac.order.placed", "evt-1"),
    "hubspot/contact_creation_captured.json": (
        "contact.created", "contact.creation", "65059681032", "1708986598741"),
    "sendgrid/batch.json": ("email.processed", "rbtnWrG1DVDGGGFHFyun0A==", "14c5d75ce93"),
    "sendgrid_inbound/basic.multipart": ("email.received", "mail", "subject"),
    "shopify/orders_paid.json": (
        "order.paid", "orders/paid", "820982911946154508", "$5.00", "cancelled", "quantity",
        '"total_price": "5.00"', '"created_at": "2020-03-27T13:01:19-04:00"'),
    "standard_webhooks/order.paid.json": (
        "order.paid", "msg_2KWPBgLlAfxdpx2AI54pPJ85f4W", "$42.50", "1001"),
    "stripe/payment_intent.succeeded.json": (
        "payment.succeeded", "payment_intent.succeeded", "evt_1OAfixture00000000000001",
        "pi_1PgafyB7WZ01zgkWSjxsAJo3", "cus_QXg1o8vcGmoR32", "$10.99", '"created": 1795000001',
        '"status": "succeeded"', '"latest_charge": "ch_1PgafuB7WZ01zgkWXYmPNZs8"'),
    "stripe/payment_intent.payment_failed.json": ("payment.failed", "insufficient_funds"),
    "twilio/status_failed.form": (
        "sms.failed", "SM1342fe1b2c904d1ab04f0fc7a58abca9", "30008", "ErrorCode"),
}  # fmt: skip


def test_a_viewer_still_sees_ids_types_states_amounts_and_times(board):
    viewer = board.client(Role.VIEWER, sees_personal=False)
    fixtures = {fixture.label: fixture for fixture in ALL}
    assert {label.partition("/")[0] for label in NEEDED} == set(PROVIDERS)
    for label, needed in NEEDED.items():
        fixture = fixtures[label]
        taken = take_in(board, fixture, Marker("nothing"), fixture.provider)
        text = unescape(viewer.get(f"/events/{taken.new_event_ids[0]}").text)
        assert [one for one in needed if one not in text] == [], label


def _older(client: Any, path: str) -> Iterator[str]:
    """Yield the addresses of the pages of a list, from the second on."""
    while found := re.search(r'href="([^"]+)" rel="next"', client.get(path).text):
        path = found[1].replace("&amp;", "&")
        yield path


def addresses(rule: Rule, ids: dict[str, list[str]]) -> Iterator[str]:
    """Yield the addresses of a rule; one for each id of the only part that has several."""
    wanted = sorted(rule.arguments)
    for value in ids[wanted[0]] if wanted else [""]:
        given = {name: ids[name][0] for name in wanted} | ({wanted[0]: value} if wanted else {})
        yield re.sub(r"<(?:[^:>]*:)?([^>]*)>", lambda part, given=given: given[part[1]], rule.rule)


@pytest.mark.parametrize("role", Role)
def test_no_mark_is_at_any_address_of_the_app(town, role):
    ids = fill(town)
    client = town.client(role, sees_personal=False)
    asked, found = set(), []
    for rule in town.app.url_map.iter_rules():
        is_asked = "GET" in (rule.methods or ()) and rule.rule not in WITHOUT
        if is_asked and not rule.endpoint.startswith(FOR_THE_PERSON):
            for path in addresses(rule, ids):
                asked.add(path)
                found += leaks(client, path)
    more = {
        "/events?type=stripe.*", "/deliveries?state=failed", "/deliveries?state=unknown",
        "/deliveries?state=skipped", f"/replays/preview?ids={ids['delivery_id'][0]}",
        "/replays/preview?state=failed", "/replays/preview?state=failed&again=1",
        f"/events/{ids['event_id'][0]}/replay?delivery={ids['delivery_id'][0]}",
        f"/replays/{ids['replay_id'][0]}?became=same_error", "/audit?action=settle.drop",
    }  # fmt: skip
    with town.hub.store.read() as connection:
        for group in alike(connection):
            minute = quote(group.since.isoformat())
            more.add(f"/unknown/alike?destination=sms&action=send&minute={minute}")
    for path in more:
        found += leaks(client, path)
    assert found == []
    assert len(asked) > 100
    assert any("alike" in path for path in more)
    assert "topic" in client.get("/sources/contact").text


def test_what_is_answered_to_a_person_without_the_right_quotes_nobody(town):
    ids = fill(town)
    client = town.client(Role.OPERATOR, sees_personal=False)
    form = {"csrf_token": town.csrf(), "state": "unreadable"}
    paths = [f"/requests/{one}/again" for one in ids["request_id"]] + ["/sources/stripe/again"]
    for path in paths:
        answer = client.post(path, data=form, follow_redirects=True)
        assert answer.status_code == 200
        assert found_in(answer.text) == []


@pytest.mark.parametrize("path", ["/events", "/deliveries", "/replays/preview"])
def test_nobody_is_looked_for_by_a_type_that_only_they_would_have(town, path):
    fill(town)
    client = town.client(Role.OPERATOR, sees_personal=False)
    for known in ("payment.*", "payment.succeeded", "*.succeeded", "stripe.*", "*"):
        assert client.get(path, query_string={"type": known}).status_code == 200, known
    for probe in ("stripe.theo*", "*theodolinde", "stripe.theodolinde", "stripe.t[h]*", "*@*"):
        assert client.get(path, query_string={"type": probe}).status_code == 403, probe


def test_nobody_is_found_by_a_number_or_a_word_that_stands_as_an_id(town):
    fill(town)
    client = town.client(Role.VIEWER, sees_personal=False)
    for query in MARKS:
        page = client.get("/events", query_string={"q": query}).text
        assert 'href="/events/0' not in page, query
