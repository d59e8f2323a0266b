"""Encoded bodies on a socket of `hub web`: stored so, and shown and replayed as they arrived."""

from uuid import UUID

from sqlalchemy import LargeBinary, select, type_coerce

from hub.core.models import StoredRequest
from hub.core.models.body_encoding import MARK
from tests.bench.load import Webhooks
from tests.web.serving import Web

WEBHOOKS = Webhooks("encoded")


def stored(web: Web, request_id: str) -> bytes:
    """Return a request's body as the database has it."""
    column = type_coerce(StoredRequest.body, LargeBinary)
    with web.store.read() as connection:
        return connection.execute(
            select(column).where(StoredRequest.id == UUID(request_id))
        ).scalar_one()


def test_webhooks_are_stored_encoded_once_the_database_has_been_asked(web: Web) -> None:
    """The first one asks it; on PostgreSQL those after it are written in the event loop."""
    before = web.ids()
    bodies = {}
    for _ in range(4):
        event_id, body = WEBHOOKS.body()
        bodies[event_id] = body
        assert web.send(body).status == 200
    kept = web.kept(before)
    assert len(kept.requests) == len(bodies)
    raw = [stored(web, row["id"]) for row in reversed(kept.requests)]
    assert [one.startswith(MARK) for one in raw][1:] == [True, True, True]
    assert all(len(one) < len(next(iter(bodies.values()))) / 5 for one in raw[1:])
    shown = {row["id"]: web.shown(row["id"]) for row in kept.requests}
    assert {one["body"] for one in shown.values()} == set(bodies.values())
    assert all(one["size_bytes"] == len(one["body"]) for one in shown.values())


def test_the_same_webhook_sent_again_and_another_body_under_its_id_are_told_apart(
    web: Web,
) -> None:
    _, body = WEBHOOKS.body()
    assert web.send(body).status == 200
    before = web.ids()
    assert web.send(body).status == 200
    other = body.replace(b'"amount": 2000', b'"amount": 2001')
    assert other != body
    assert web.send(other).status == 200
    plain, conflict = reversed(web.kept(before).requests)
    assert (plain["state"], plain["conflict"]) == ("duplicate", False)
    assert (conflict["state"], conflict["conflict"]) == ("duplicate", True)
    assert web.shown(conflict["id"])["body"] == other
    assert stored(web, conflict["id"]).startswith(MARK)
