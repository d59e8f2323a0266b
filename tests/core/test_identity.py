"""Identity of a hub: its id, the origin that is noted, a copied database, and names in Redis."""

from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from sqlalchemy import delete, select, update

from hub.core.delivery.lanes import acquire, ensure
from hub.core.delivery.pauses import mark_paused, paused_by
from hub.core.identity import (
    Identity,
    adopt,
    end_inheritance,
    inherits_mark,
    key_prefix,
    moved,
    moved_sentence,
    note_public_url,
    other_hubs,
    queue_prefix,
    read_identity,
)
from hub.core.models import AuditEntry, Delivery, HubIdentity, Lane
from tests.core.making import Town, make_due, route

NOW = datetime(2026, 11, 30, 9, 0, tzinfo=UTC)
ID = UUID("1f3a52c0-6a3e-4b7c-9d2e-0123456789ab")
HOME, STAGING = "https://hub.example", "https://staging.example"


def adopted(database, public_url=STAGING, *, as_copy: bool) -> Identity:
    with database.write() as connection:
        return adopt(connection, public_url=public_url, as_copy=as_copy, actor="cli:me", now=NOW)


def identity_in(database) -> Identity | None:
    with database.read() as connection:
        return read_identity(connection)


def paused_in(database) -> list[str]:
    with database.read() as connection:
        found = select(Lane.destination).where(Lane.paused).order_by(Lane.destination)
        return list(connection.execute(found).scalars())


def test_the_first_origin_is_noted_and_later_ones_are_not(database) -> None:
    for public_url in (None, HOME, STAGING):
        with database.write() as connection:
            note_public_url(connection, public_url, now=NOW)
    found = identity_in(database)
    assert found is not None
    assert found.public_url == HOME
    assert found.hub_id.version == 4


@pytest.mark.parametrize(
    ("noted", "given", "differs"),
    [
        (None, None, False),
        (None, HOME, False),
        (HOME, HOME, False),
        (HOME, STAGING, True),
        (HOME, None, True),
    ],
)
def test_another_origin_than_the_noted_one_differs_and_so_does_none(noted, given, differs) -> None:
    assert moved(Identity(ID, noted), given) is differs


def test_the_sentence_names_both_origins_and_both_commands() -> None:
    said = moved_sentence(Identity(ID, HOME), STAGING)
    assert all(
        part in said for part in (HOME, STAGING, "`hub db adopt`", "`hub db adopt --as-copy`")
    )
    assert "HUB_PUBLIC_URL is not set" in moved_sentence(Identity(ID, HOME), None)


def test_a_hub_that_moved_keeps_its_id_and_goes_on(database) -> None:
    before = identity_in(database)
    with database.write() as connection:
        note_public_url(connection, HOME, now=NOW)
        ensure(connection, ["ops"])
    assert before is not None
    assert adopted(database, as_copy=False) == Identity(before.hub_id, STAGING)
    assert identity_in(database) == Identity(before.hub_id, STAGING)
    assert paused_in(database) == []


def test_a_copy_gets_an_id_of_its_own_and_sends_nothing(database) -> None:
    town = Town(
        [route(), route("lost", destination="crm"), route("done", destination="old")],
        ("ops", "crm", "old"),
    )
    with database.write() as connection:
        note_public_url(connection, HOME, now=NOW)
        connection.execute(update(HubIdentity).values(inherits_mark=True))
        ensure(connection, ["ops", "team"])
        mark_paused(connection, "team", paused=True)
        town.take_in(connection, {"id": "e1"})
        ended = update(Delivery).where(Delivery.route == "done")
        connection.execute(ended.values(state="succeeded", next_attempt_at=None))
        make_due(connection)
        before = read_identity(connection)
    new = adopted(database, as_copy=True)
    assert before is not None
    assert new.hub_id != before.hub_id
    assert identity_in(database) == new
    assert paused_in(database) == ["crm", "ops", "team"], "crm has work and had no lane"
    with database.write() as connection:
        assert acquire(connection, "me", ["crm", "ops", "team"], most=9) == []
        assert not inherits_mark(connection)
        assert paused_by(connection, "crm") == ("cli:me", NOW)


def test_an_adoption_is_audited_with_what_it_changed(database) -> None:
    with database.write() as connection:
        note_public_url(connection, HOME, now=NOW)
        ensure(connection, ["ops"])
    new = adopted(database, as_copy=True)
    with database.read() as connection:
        rows = connection.execute(
            select(AuditEntry.actor, AuditEntry.action, AuditEntry.subject, AuditEntry.detail)
            .order_by(AuditEntry.id)
        ).all()  # fmt: skip
    detail = {"as_copy": True, "hub_id": str(new.hub_id), "from": HOME, "to": STAGING}
    assert sorted(tuple(row) for row in rows) == [
        ("cli:me", "adopt", "database", detail),
        ("cli:me", "pause", "ops", None),
    ]


@pytest.mark.parametrize("as_copy", [False, True])
def test_a_database_that_lost_its_id_gets_one_by_adoption(database, as_copy) -> None:
    before = identity_in(database)
    with database.write() as connection:
        connection.execute(delete(HubIdentity))
    try:
        assert identity_in(database) is None
        assert identity_in(database) != adopted(database, None, as_copy=as_copy)
        assert identity_in(database) is not None
    finally:
        with database.write() as connection:
            assert before is not None
            connection.execute(update(HubIdentity).values(hub_id=before.hub_id))


def test_the_mark_of_the_release_before_is_inherited_once(database) -> None:
    with database.write() as connection:
        assert not inherits_mark(connection), "a new database"
        connection.execute(update(HubIdentity).values(inherits_mark=True))
        assert inherits_mark(connection)
        end_inheritance(connection)
        assert not inherits_mark(connection)


@pytest.mark.parametrize(
    ("name", "prefix"),
    [
        ("Acme Roofing", "acme-roofing-1f3a52c0"),
        ("  Müller & Söhne  ", "muller-sohne-1f3a52c0"),
        ("a" * 40, f"{'a' * 24}-1f3a52c0"),
        ("abcdefghijklmnopqrstuvw xyz", "abcdefghijklmnopqrstuvw-1f3a52c0"),
        ("東京:*\n", "hub-1f3a52c0"),
        ("", "hub-1f3a52c0"),
        (None, "hub-1f3a52c0"),
    ],
)
def test_queues_are_named_after_the_site_and_the_first_digits_of_the_id(name, prefix) -> None:
    assert queue_prefix(name, ID) == prefix


def test_keys_begin_with_the_whole_id() -> None:
    assert key_prefix(ID) == "hub:1f3a52c0-6a3e-4b7c-9d2e-0123456789ab:"


def test_other_hubs_are_recognised_by_their_queues_and_keys() -> None:
    other, third = UUID(hex="ab" * 16), uuid4()
    names = [
        f"{queue_prefix('Acme', ID)}:crm",
        f"{key_prefix(ID)}newest-attempt",
        f"{key_prefix(other)}newest-attempt",
        f"{queue_prefix('Bakery', other)}:events",
        f"{key_prefix(third)}wake:crm",
        "hub", "default", "hub:newest-attempt", "hub:wake", "celery", "",
        "not-a-hub:x",
    ]  # fmt: skip
    assert other_hubs(names, ID) == sorted(["bakery-abababab", f"hub-{third.hex[:8]}"])
    assert other_hubs(names[:2], ID) == []
