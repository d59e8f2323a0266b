"""`/deliveries`: filters by state, destination and cause; odd queries do no harm."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import select, text, update

from hub.core.auth.roles import Role
from hub.core.models import Delivery, StoredEvent
from hub.core.queries import deliveries as listing
from hub.core.replays.selection import Selection
from tests.dashboard.delivering import JANE, TOWN, put, try_once

HOSTILE = '"><img src=x onerror=alert(1)>{{7*7}}'


@pytest.fixture
def town(make_board):
    return make_board(TOWN)


def write(town, *args, **values):
    with town.hub.store.write() as connection:
        return put(connection, *args, **values)


def shown(town, path: str, **person) -> str:
    answer = town.client(**person).get(path)
    assert answer.status_code == 200, answer.status
    return answer.get_data(as_text=True)


def test_an_empty_hub_says_what_would_stand_here(town):
    assert "No deliveries here" in shown(town, "/deliveries")


def test_a_failed_one_says_what_happened_and_why_in_words(town):
    write(town, error="gave up after 12 attempts: Twilio answered 400: 21610: unsubscribed",
          destination="sms")  # fmt: skip
    said = shown(town, "/deliveries?state=failed")
    assert "Jane Doe paid $42.00" in said
    assert "The person answered STOP and gets no more texts; the hub gave up" in said
    assert "21610: unsubscribed" in said


def test_who_may_not_see_people_sees_masks(town):
    write(town, error="dropped: jane@example.com told us")
    said = shown(town, "/deliveries", role=Role.VIEWER, sees_personal=False)
    assert "Jane" not in said
    assert "jane@example.com" not in said
    assert "paid $42.00" in said


def test_a_viewer_can_replay_nothing_from_here(town):
    write(town)
    said = shown(town, "/deliveries", role=Role.VIEWER, name="v")
    assert "Replay" not in said.replace('href="/replays">Replays', "")
    assert town.client(Role.VIEWER, name="v").get("/replays/preview").status_code == 403


FILTERED = {
    "": 7, "state=failed": 4, "state=succeeded": 1, "destination=sms": 2,
    "state=failed&destination=ops": 3, "route=receipt-text": 2, "action=send": 2,
    "type=payment.succeeded": 6, "source=stripe": 7, "source=other": 0, "q=REFUSED": 4,
    "q=%25": 0, "q=_": 0, "q=21610": 1, "live=yes": 7, "live=no": 0, "state=nonsense": 0,
    "state=failed&live=test": 0, "state=succeeded&destination=ops": 1,
    "state=succeeded&destination=sms": 0,
}  # fmt: skip


def test_it_is_filtered_by_each_of_its_names(town):
    write(town, 3)
    write(town, 1, state="succeeded", error=None)
    write(town, 1, state="retrying")
    write(town, 1, destination="sms", error="Twilio answered 400: 21610: STOP")
    write(town, 1, destination="sms", state="skipped", error=None, event_type="lead.submitted")
    client = town.client()
    found = {
        query: client.get(f"/deliveries?{query}").get_data(as_text=True).count('name="ids"')
        for query in FILTERED
    }
    assert found == FILTERED


def test_it_is_filtered_by_time_in_the_sites_zone(town):
    noon = datetime(2026, 11, 20, 17, tzinfo=UTC)  # 12:00 in New York
    write(town, at=noon)
    assert "Jane" in shown(town, "/deliveries?since=2026-11-20T12:00&until=2026-11-20T12:01")
    assert "Jane" not in shown(town, "/deliveries?since=2026-11-20T12:01")
    assert "Jane" not in shown(town, "/deliveries?until=2026-11-20T17:00Z")


def test_the_tabs_say_how_many_need_somebody(town):
    write(town, 3)
    write(town, 2, destination="sms")
    write(town, 1, state="unknown")
    said = shown(town, "/deliveries")
    assert 'Failed <span class="count">5</span>' in said
    assert 'Unknown <span class="count">1</span>' in said
    assert 'Failed <span class="count">2</span>' in shown(town, "/deliveries?destination=sms")


def test_pages_are_found_by_key_and_keep_the_filter(town):
    write(town, 120)
    client, seen, path = town.client(), [], "/deliveries?state=failed"
    while path:
        said = client.get(path).get_data(as_text=True)
        seen += [part.partition('"')[0] for part in said.split('name="ids" value="')[1:]]
        older = said.partition('rel="next"')[0].rpartition('href="')[2].partition('"')[0]
        path = older.replace("&amp;", "&") if 'rel="next"' in said else None
        assert path is None or "state=failed" in path
    assert len(seen) == len(set(seen)) == 120


def test_a_page_looks_through_so_many_and_the_next_one_goes_on(town, monkeypatch):
    monkeypatch.setattr(listing, "WINDOW", 10)
    ids = write(town, 30)
    with town.hub.store.write() as connection:
        connection.execute(update(Delivery).where(Delivery.id == ids[0]).values(error="rare"))
    with town.hub.store.read() as connection:
        before, pages = None, 0
        while True:
            found = listing.list_deliveries(connection, Selection(q="rare"), limit=5, before=before)
            pages += 1
            if found.older is None:
                break
            assert (found.rows, found.looked_to is not None) == ([], True)
            before = found.older
    assert [row.id for row in found.rows] == [ids[0]]
    assert pages == 3


ODD = [
    "before=1", "before=../", "event=1%20OR%201=1", "since=yesterday", "since=0001-01-01T00:00",
    "until=9999-12-31T23:59:59", "q=" + "x" * 201, "q=%00", "q=a%0Ab", "live=perhaps",
    "contact=-1", "ids=nonsense", "state=%F0%9F%92%A9", "type=%ED%A0%80", "q=%FF",
]  # fmt: skip
NO_IDS = ["1 OR 1=1", "-1", "0", str(2**63), "x" * 36, str(uuid4())]


def test_odd_questions_are_no_trouble(town):
    write(town)
    client = town.client()
    for query in ODD:
        assert client.get(f"/deliveries?{query}").status_code in (200, 400), query
    for delivery_id in NO_IDS:
        assert client.get(f"/deliveries/{delivery_id}").status_code == 404, delivery_id


def test_a_delivery_is_shown_on_its_events_page(town):
    [delivery_id] = write(town)
    with town.hub.store.read() as connection:
        event_id = connection.execute(select(StoredEvent.id)).scalar_one()
    answer = town.client().get(f"/deliveries/{delivery_id}")
    assert answer.status_code == 302
    assert answer.location == f"/events/{event_id}#delivery-{delivery_id}"


def test_what_others_wrote_is_inert(town):
    write(town, error=HOSTILE, data=JANE | {"name": HOSTILE}, status=HOSTILE, state="succeeded")
    [delivery_id] = write(town, error=f"{HOSTILE} answered 500: {HOSTILE}")
    with town.hub.store.write() as connection:
        connection.execute(
            update(Delivery).where(Delivery.id == delivery_id)
            .values(route=HOSTILE, destination=HOSTILE, action=HOSTILE)
        )  # fmt: skip
        try_once(connection, [delivery_id], "rejected", code=HOSTILE)
    said = shown(town, "/deliveries")
    assert "<img src=x" not in said
    assert "&lt;img src=x" in said
    assert "{{7*7}}" in said
    assert "<img" not in shown(town, f"/deliveries?q={HOSTILE}&destination={HOSTILE}").replace(
        '<img src="/static', ""
    )


def test_a_page_of_failures_is_found_by_its_index(town):
    """The cost does not depend on the number of other deliveries."""
    if town.hub.store.dialect != "postgresql":
        return
    write(town, 50)
    with town.hub.store.write() as connection:
        connection.execute(text("SET LOCAL enable_seqscan = off"))
        connection.execute(text("SET LOCAL enable_bitmapscan = off"))
        statement = select(Delivery.id).where(*Selection(state="failed").indexed())
        compiled = (
            statement.order_by(Delivery.id.desc())
            .limit(51)
            .compile(connection, compile_kwargs={"literal_binds": True})
        )
        plan = "\n".join(row[0] for row in connection.execute(text(f"EXPLAIN {compiled}")))
    assert "ix_deliveries_needs_you" in plan
    assert "Sort" not in plan


def test_a_try_that_is_to_come_is_told(town):
    write(town, state="retrying", next_attempt_at=datetime.now(UTC) + timedelta(hours=2),
          attempts=3)  # fmt: skip
    said = shown(town, "/deliveries?state=retrying")
    assert "3 tries, next" in said
    assert "in 1 hour" in said
