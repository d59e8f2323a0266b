"""`hub db adopt`: a database that moved or was copied; until then nothing starts that sends."""

from uuid import UUID

import pytest
from sqlalchemy import select

from hub.core.identity import key_prefix, queue_prefix, read_identity
from hub.core.models import Lane
from hub.gateways.redis_queue import connect

HOME, STAGING = "https://hub.example", "https://staging.example"
SENDERS = ["web", "worker", "clock", "up"]


@pytest.fixture
def desk_anywhere(desk_anywhere):
    desk_anywhere.setenv(SECRET_KEY="k" * 8 + "eys" * 8)
    return desk_anywhere


def at_home(desk) -> UUID:
    """Note an origin, as the first start of a hub does; return the hub's id."""
    desk.setenv(HUB_PUBLIC_URL=HOME)
    return UUID(desk.json("db", "adopt", "--yes")["hub_id"])


def hub_id_of(desk) -> UUID:
    with desk.store.read() as connection:
        identity = read_identity(connection)
    assert identity is not None
    return identity.hub_id


def lanes_of(desk) -> dict[str, bool]:
    with desk.store.read() as connection:
        return dict(connection.execute(select(Lane.destination, Lane.paused)).all())


@pytest.mark.parametrize("command", SENDERS)
@pytest.mark.parametrize("given", [STAGING, ""])
def test_on_a_copied_database_nothing_starts_that_sends(desk_anywhere, command, given) -> None:
    hub_id = at_home(desk_anywhere)
    desk_anywhere.setenv(HUB_PUBLIC_URL=given)
    said = desk_anywhere.run(command)
    assert said.code == 2
    sentence = said.sentence
    assert all(part in sentence for part in (HOME, given, "`hub db adopt`", "--as-copy"))
    assert hub_id_of(desk_anywhere) == hub_id


@pytest.mark.parametrize("given", [STAGING, ""])
def test_commands_that_only_look_go_on(desk_anywhere, given) -> None:
    event_id = desk_anywhere.receive("evt_1")
    at_home(desk_anywhere)
    desk_anywhere.setenv(HUB_PUBLIC_URL=given)
    assert [row["id"] for row in desk_anywhere.json("events")] == [event_id]
    for command in ("deliveries", "alerts", "audit", "unknown"):
        assert desk_anywhere.run(command).code == 0


def test_a_copy_is_told_what_happens_and_gets_an_id_and_a_pause(desk_anywhere) -> None:
    desk_anywhere.receive("evt_1")
    before = at_home(desk_anywhere)
    desk_anywhere.setenv(HUB_PUBLIC_URL=STAGING)
    said = desk_anywhere.run("db", "adopt", "--as-copy", stdin="y\n", terminal=True)
    assert said.code == 0
    assert all(part in said.err for part in (HOME, STAGING, "every destination is paused", "[y/N]"))
    after = hub_id_of(desk_anywhere)
    assert after != before
    assert str(after) in said.err
    assert lanes_of(desk_anywhere) == {"crm": True, "ops": True, "team": True}
    assert (desk_anywhere.folder / "var/hub-id").read_text().startswith(str(after))
    actions = [action for action, _ in desk_anywhere.audited()]
    assert sorted(actions) == ["adopt", "adopt", "pause", "pause", "pause"]


def test_a_hub_that_moved_keeps_its_id_and_its_lanes(desk_anywhere) -> None:
    desk_anywhere.receive("evt_1")
    before = at_home(desk_anywhere)
    desk_anywhere.setenv(HUB_PUBLIC_URL=STAGING)
    said = desk_anywhere.json("db", "adopt", "--yes")
    assert said == {"hub_id": str(before), "public_url": STAGING}
    assert set(lanes_of(desk_anywhere).values()) == {False}


@pytest.mark.parametrize("more", [[], ["--as-copy"]])
def test_nothing_is_adopted_without_an_answer(desk_anywhere, more) -> None:
    before = at_home(desk_anywhere)
    desk_anywhere.setenv(HUB_PUBLIC_URL=STAGING)
    assert "nobody answered" in desk_anywhere.run("db", "adopt", *more).err
    assert desk_anywhere.run("db", "adopt", *more, stdin="n\n", terminal=True).code == 1
    assert hub_id_of(desk_anywhere) == before
    assert len(desk_anywhere.audited()) == 1


def test_a_hub_that_is_at_home_has_nothing_to_adopt(desk_anywhere) -> None:
    before = at_home(desk_anywhere)
    said = desk_anywhere.run("db", "adopt")
    assert (said.code, said.err) == (0, f"nothing to do: this is the hub at {HOME}\n")
    assert len(desk_anywhere.audited()) == 1
    assert hub_id_of(desk_anywhere) == before


def findings(desk, subject: str) -> list[tuple[str, str]]:
    said = desk.run("check", "--json")
    return [(one["level"], one["message"]) for one in said.json if one["subject"] == subject]


def test_the_check_says_whose_database_it_is_and_that_it_was_copied(desk_anywhere) -> None:
    hub_id = at_home(desk_anywhere)
    assert ("ok", f"hub {hub_id}") in findings(desk_anywhere, "database")
    desk_anywhere.setenv(HUB_PUBLIC_URL=STAGING)
    [fault] = [text for level, text in findings(desk_anywhere, "database") if level == "fault"]
    assert HOME in fault
    assert "`hub db adopt --as-copy`" in fault
    assert desk_anywhere.run("check").code == 1


def test_the_check_says_which_other_hubs_redis_serves(desk_anywhere, redis_url) -> None:
    desk_anywhere.setenv(REDIS_URL=redis_url)
    mine, other = hub_id_of(desk_anywhere), UUID(hex="1f3a52c0" * 4)
    with connect(redis_url) as redis:
        redis.sadd("rq:queues", "rq:queue:hub", f"rq:queue:{queue_prefix('Acme', mine)}:ops")
        redis.set(f"{key_prefix(mine)}newest-attempt", "x")
        assert not [text for _, text in findings(desk_anywhere, "redis") if "serves" in text]
        redis.set(f"{key_prefix(UUID(hex='ab' * 16))}newest-attempt", "x")
        redis.sadd("rq:queues", f"rq:queue:{queue_prefix('Acme Roofing', other)}:crm")
    [note] = [one for one in findings(desk_anywhere, "redis") if "serves" in one[1]]
    said = "this Redis also serves acme-roofing-1f3a52c0, hub-abababab; "
    assert note == ("note", f"{said}the hubs do not hear of each other")
