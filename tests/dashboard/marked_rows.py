"""Rows with marks in every text: of each table that a page of the dashboard shows."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import insert, select, update

from hub.core.audit import record_action
from hub.core.ids import new_id
from hub.core.models import (
    Alert,
    Delivery,
    EventCopy,
    Lane,
    Replay,
    ReplayItem,
    StoredEvent,
    StoredRequest,
    UndeclaredField,
)
from tests.dashboard.board import Board
from tests.dashboard.delivering import TOWN, put, try_once
from tests.dashboard.marking import MARKS

NAME, WORD, LOWER, PHONE, DIGITS, EMAIL, CARD, _CODE, LINK, ABROAD, HANDLE, BIRTH = MARKS
SENTENCE = f"it is {NAME} ({EMAIL}, {PHONE}, {CARD}) {WORD} {LOWER}"
ANSWERS = (
    f"Twilio answered 400: {SENTENCE}", f"{WORD} answered 422: {LOWER}", f"not sent: {SENTENCE}",
    f"{LOWER}.marked.example: refused the connection", SENTENCE, LOWER,
    f"gave up after {WORD}: SendGrid answered 500: {SENTENCE}", f"dropped: {SENTENCE}",
    f"cannot be rendered: to: data.{LOWER} is missing", f"refused us: Stripe answered 402: {NAME}",
)  # fmt: skip


FORM = "contact: {adapter: form, origins: ['https://acme.example'], fields: {email: {type: email}}}"
MARKED_TOWN = TOWN.replace("destinations:", f"  {FORM}\ndestinations:", 1)


def fill(board: Board) -> dict[str, list[str]]:
    """Fill every table that a page shows with marks; return the ids by the name in an address."""
    now = datetime.now(UTC)
    data = {"name": NAME, "email": EMAIL, "phone": PHONE, "amount": 4200, "currency": "USD",
            "customer_id": WORD, "reason": SENTENCE, "status": LOWER, "number": CARD,
            "contact_id": ABROAD, "user_id": HANDLE, "starts_at": BIRTH,
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
        for name in (NAME, LOWER, EMAIL, DIGITS, "topic"):
            connection.execute(insert(UndeclaredField).values(
                source="contact", name=name, posts=3, last_seen_at=now))  # fmt: skip
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
        "user_id": [str(new_id(now))], "name": ["grace"], "number": ["1"], "token": ["x"],
        "path_secret": ["x"],
    }  # fmt: skip
