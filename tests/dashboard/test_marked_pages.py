"""Marked pages: no word of a person in any webhook, answer or note is on a page for a viewer.

A page that is added to the dashboard is asked for here without being named.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert, select, update
from werkzeug.routing import Rule

from hub.core.audit import record_action
from hub.core.auth.roles import Role
from hub.core.configuration import Source
from hub.core.ids import new_id
from hub.core.inbound.ingest import ingest
from hub.core.inbound.receive import Receiver
from hub.core.models import (
    Alert,
    Delivery,
    EventCopy,
    Lane,
    Replay,
    ReplayItem,
    StoredEvent,
    StoredRequest,
)
from tests.adapters.contract.recorded import ALL, Fixture, adapter
from tests.dashboard.board import Board
from tests.dashboard.delivering import TOWN, put, try_once
from tests.dashboard.happening import fold_all
from tests.dashboard.marking import MARKS, VARIANTS, Marker, fields_of, found_in, texts_of

NAME, WORD, LOWER, PHONE, DIGITS, EMAIL, CARD, LINK = MARKS
SENTENCE = f"it is {NAME} ({EMAIL}, {PHONE}, {CARD}) {WORD} {LOWER}"
ANSWERS = (
    f"Twilio answered 400: {SENTENCE}", f"{WORD} answered 422: {LOWER}", f"not sent: {SENTENCE}",
    f"{LOWER}.marked.example: refused the connection", SENTENCE, LOWER,
    f"gave up after {WORD}: SendGrid answered 500: {SENTENCE}", f"dropped: {SENTENCE}",
    f"cannot be rendered: to: data.{LOWER} is missing", f"refused us: Stripe answered 402: {NAME}",
)  # fmt: skip
# Pages for the one person who was told of a lead, by a link of their own.
FOR_THE_PERSON = {"acknowledging.lead_page"}
WITHOUT = {"/static/<path:filename>"}


@pytest.fixture
def database_url(sqlite_url):
    """Return one database only, because masking does not depend on the database."""
    return sqlite_url


@pytest.fixture
def town(make_board) -> Board:
    return make_board(TOWN)


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
        take_in(board, fixture, Marker(variant, at + n), f"{fixture.provider}-{variant}")
        for at, fixture in enumerate(ALL)
        for n, variant in enumerate(VARIANTS)
    ]


def leaks(client: Any, path: str, **more: Any) -> list[str]:
    """Return what of a mark an answer contains; it must be a page, a file or a refusal."""
    answer = client.get(path, **more)
    assert answer.status_code in (200, 204, 302, 303, 400, 403, 404, 405), f"{path}: {answer.status}"
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
    assert len(taken) == len(ALL) * len(VARIANTS)
    assert sum(bool(one.new_event_ids) for one in taken) > 1.8 * len(ALL)


def test_no_mark_of_any_single_field_is_on_the_pages(board):
    """Mark one field at a time, with what any adapter takes for an id or a type."""
    taken, known = [], set()
    for fixture in ALL:
        for name in sorted(fields_of(fixture)):
            if (fixture.provider, name) not in known:
                known.add((fixture.provider, name))
                marker = Marker(name, len(known), (LOWER, DIGITS, WORD))
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


def _older(client: Any, path: str) -> Iterator[str]:
    """Yield the addresses of the pages of a list, from the second on."""
    while found := re.search(r'href="([^"]+)" rel="next"', client.get(path).text):
        path = found[1].replace("&amp;", "&")
        yield path


def fill(board: Board) -> dict[str, list[str]]:
    """Fill every table that a page shows with marks; return the ids by the name in an address."""
    now = datetime.now(UTC)
    data = {"name": NAME, "email": EMAIL, "phone": PHONE, "amount": 4200, "currency": "USD",
            "customer_id": WORD, "reason": SENTENCE, "status": LOWER, "number": CARD,
            "metadata": {LOWER: NAME, NAME: LOWER}, "object_id": DIGITS}  # fmt: skip
    typed = {"name": NAME, "email": EMAIL, "phone": PHONE, "message": SENTENCE, "page": LINK,
             "fields": {LOWER: WORD, "status": LOWER}, "utm": {"source": WORD}}  # fmt: skip
    sent = {"to": PHONE, "cc": [EMAIL], "body": SENTENCE, "type": LOWER, "properties": data}
    with board.hub.store.write() as connection:
        failed = [one for answer in ANSWERS for state in ("failed", "retrying", "skipped")
                  for one in put(connection, state=state, error=answer, data=data,
                                 provider_ref=WORD, status=LOWER)]  # fmt: skip
        evidence = [{"at": now.isoformat(), "by": by, "said": SENTENCE}
                    for by in ("lookup", "webhook", "answer", "person")]  # fmt: skip
        answered = {"parameters": sent, "request": sent | {"url": LINK, "headers": {LOWER: NAME}},
                    "evidence": evidence, "provider_ref": EMAIL, "ended_at": now,
                    "status": 400}  # fmt: skip
        try_once(connection, failed, "rejected", code=WORD, message=SENTENCE, **answered)
        unknown = put(connection, 3, destination="sms", state="unknown", error=SENTENCE, data=data)
        try_once(connection, unknown, "unknown", message=LOWER, **answered)
        held = put(connection, 2, data=typed, event_type="lead.submitted")
        events = list(connection.execute(select(Delivery.event_id)).scalars())
        of_held = select(Delivery.event_id).where(Delivery.id.in_(held))
        connection.execute(
            update(StoredEvent).where(StoredEvent.id.in_(of_held))
            .values(state="held", held_reason=SENTENCE, native_type=NAME, external_id=EMAIL)
        )  # fmt: skip
        odd = put(connection, 1, data=data, event_type=f"stripe.{LOWER}")
        connection.execute(
            update(StoredEvent)
            .where(StoredEvent.type == f"stripe.{LOWER}")
            .values(external_id=DIGITS, native_type=LOWER, data_error=SENTENCE)
        )
        headers = {"content-type": f"{LOWER}/{WORD}", NAME: LOWER, "x-github-event": LOWER,
                   "x-request-id": WORD, "x-forwarded-for": SENTENCE}  # fmt: skip
        url = f"http://localhost/webhooks/stripe/{LOWER}?who={NAME}"
        connection.execute(update(StoredRequest).values(headers=headers, url=url, method=WORD))
        requests = []
        for state in ("rejected", "unreadable", "duplicate"):
            for reason in (SENTENCE, LOWER, f"{WORD} is missing: {NAME}"):
                requests.append(new_id(now))
                connection.execute(insert(StoredRequest).values(
                    id=requests[-1], source="stripe", state=state, received_at=now, url=url,
                    method="POST", headers=headers, body=f'{{"{LOWER}": "{NAME}"}}'.encode(),
                    size_bytes=2, conflict=False, reason=reason))  # fmt: skip
        alert = {"id": new_id(now), "kind": "cap reached", "subject": "sms", "message": SENTENCE}
        connection.execute(insert(Alert).values(alert | {"began_at": now}))
        lane = {"blocked_reason": f"refused us: {SENTENCE}", "setbacks": 3,
                "blocked_until": now + timedelta(hours=1)}  # fmt: skip
        for slug in board.hub.configuration.destinations:
            if connection.execute(update(Lane).where(Lane.destination == slug)
                                  .values(lane)).rowcount == 0:  # fmt: skip
                connection.execute(insert(Lane).values(lane | {"destination": slug}))
        replay = new_id(now)
        connection.execute(insert(Replay).values(
            id=replay, token="form-0001", fingerprint="0" * 64, state="paused", actor="user:grace",
            reason=SENTENCE, filter={"q": NAME, "type": LOWER, "route": WORD, "source": LOWER,
                                     "action": WORD, "destination": LOWER},
            again=True, per_minute=60, total=3, left_out=[], paid_until=now, created_at=now,
        ))  # fmt: skip
        for one in failed[:3]:
            item = {"replay_id": replay, "delivery_id": one, "plan": "anew", "state": "queued",
                    "error": SENTENCE, "queued_at": now}  # fmt: skip
            connection.execute(insert(ReplayItem).values(item))
        changes = [["data.name", NAME, WORD], [f"metadata.{LOWER}", LOWER, PHONE]]
        connection.execute(insert(EventCopy).values(
            event_id=events[0], original_id=events[1], actor="user:grace", made_at=now,
            changes=changes))  # fmt: skip
        record_action(connection, actor="user:grace", action="settle.drop", subject="delivery 1",
                      reason=SENTENCE, detail={"q": NAME, "type": LOWER, LOWER: 1},
                      now=now)  # fmt: skip
    return {
        "event_id": [str(one) for one in events],
        "delivery_id": [str(one) for one in (*failed[:3], *unknown, *odd)],
        "request_id": [str(one) for one in requests],
        "replay_id": [str(replay)],
        "slug": [*board.hub.configuration.sources, *board.hub.configuration.destinations],
        "source_slug": [*board.hub.configuration.sources],
        "number": ["1"], "path_secret": ["x"], "token": ["x"], "user_id": [str(new_id(now))], "name": ["grace"],
    }  # fmt: skip


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
        if is_asked and rule.endpoint not in FOR_THE_PERSON:
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
    for path in more:
        found += leaks(client, path)
    assert found == []
    assert len(asked) > 100


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
