"""`hub requests`, `events`, `deliveries`, `unknown`."""

import re
from datetime import UTC, datetime

import pytest
from sqlalchemy import insert, select

from hub.cli import tables
from hub.core.ids import new_id
from hub.core.models import StoredEvent
from hub.core.search.indexer import index_some

EVENT = (
    "id type native_type source external_id occurred_at received_at state live contact duplicates"
    " backfilled"
)
DELIVERY = (
    "id event_id route destination action state attempts next_attempt_at error provider_ref"
    " status sandbox"
)
UNKNOWN = f"{DELIVERY} sent_at looked_at absences evidence"
REQUEST = "id source state received_at size_bytes signed_by conflict reason event_id"
UTC_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
LISTS = ["requests", "events", "deliveries", "unknown"]
NOBODY = "01a1fc1d-2301-71ea-8e52-8a5d2d149a6d"


def test_rows_have_the_names_that_were_promised(desk_anywhere) -> None:
    desk_anywhere.receive("evt_1")
    desk_anywhere.set_state("tell", "unknown")
    promised = {
        "events": EVENT, "deliveries": DELIVERY, "unknown": UNKNOWN, "requests": REQUEST,
    }  # fmt: skip
    for name, names in promised.items():
        assert " ".join(desk_anywhere.json(name)[0]) == names


def test_times_are_utc_and_say_so(desk_anywhere) -> None:
    desk_anywhere.receive("evt_1")
    [event] = desk_anywhere.json("events")
    assert UTC_TIME.fullmatch(event["occurred_at"])
    assert UTC_TIME.fullmatch(event["received_at"])
    due = [one["next_attempt_at"] for one in desk_anywhere.json("deliveries")]
    assert all(UTC_TIME.fullmatch(at) for at in due)
    for name in ("events", "deliveries", "requests"):
        assert re.search(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ", desk_anywhere.run(name).out)


@pytest.mark.parametrize("name", LISTS)
def test_an_empty_list_is_an_empty_array_and_for_people_one_word(desk, name) -> None:
    assert desk.json(name) == []
    said = desk.run(name)
    assert (said.code, said.out, said.err) == (0, "", "nothing\n")


def test_pages_are_newest_first_and_follow_each_other_without_gap(desk_anywhere) -> None:
    for n in range(7):
        desk_anywhere.receive(f"evt_{n}")
    for name in ("requests", "events", "deliveries"):
        every = [row["id"] for row in desk_anywhere.json(name)]
        paged: list[str] = []
        while rows := desk_anywhere.json(
            name, "--limit", "3", *(["--before", paged[-1]] if paged else [])
        ):
            assert len(rows) <= 3
            paged += [row["id"] for row in rows]
        assert paged == every == sorted(every, reverse=True)


@pytest.mark.parametrize("name", LISTS)
def test_a_list_has_one_to_a_thousand_rows(desk, name) -> None:
    for good in ("1", "1000"):
        assert desk.run(name, "--limit", good).code == 0
    for bad in ("0", "1001", "-1", "many"):
        said = desk.run(name, "--limit", bad)
        assert (said.code, said.out) == (2, "")


def test_events_are_filtered_by_each_of_their_options(desk_anywhere) -> None:
    desk = desk_anywhere
    desk.receive("evt_live")
    body = b'{"id": "evt_odd", "object": "event", "type": "odd.thing", "created": 1795231130, '
    desk.receive("evt_odd", body=body + b'"livemode": false, "data": {"object": {"id": "x"}}}')

    def found(*options: str) -> set[str]:
        return {row["external_id"] for row in desk.json("events", *options)}

    assert found() == {"evt_live", "evt_odd"}
    assert found("--live") == {"evt_live"}
    assert found("--test") == {"evt_odd"}
    assert found("--type", "payment.succeeded") == {"evt_live"}
    assert found("--type", "pay*") == {"evt_live"}
    assert found("--type", "pay%") == set()
    assert found("--external-id", "evt_odd") == {"evt_odd"}
    assert found("--external-id", "evt_od_") == set()
    assert found("--source", "stripe", "--state", "matched") == {"evt_live", "evt_odd"}
    assert found("--source", "twilio") == set()
    old = datetime(2026, 1, 1, tzinfo=UTC)
    with desk.store.write() as connection:
        row = connection.execute(select(StoredEvent.__table__).limit(1)).one()._asdict()
        row |= {"id": new_id(old), "received_at": old, "external_id": "evt_old"}
        connection.execute(insert(StoredEvent).values(**row))
    assert found() == {"evt_live", "evt_odd", "evt_old"}
    assert found("--since", "1h") == {"evt_live", "evt_odd"}


def test_deliveries_are_filtered_by_each_of_their_options(desk_anywhere) -> None:
    desk = desk_anywhere
    first, second = desk.receive("evt_1"), desk.receive("evt_2")
    desk.set_state("tell", "unknown")

    def count(*options: str) -> int:
        return len(desk.json("deliveries", *options))

    assert count() == 6
    assert count("--state", "unknown") == len(desk.json("unknown")) == 2
    assert count("--destination", "ops") == count("--route", "note") == 2
    assert count("--destination", "op*") == count("--route", "no*") == 2
    assert count("--destination", "op") == count("--route", "%") == 0
    assert count("--event", first) == count("--event", second) == 3
    assert count("--event", first, "--route", "note") == 1
    assert count("--event", NOBODY) == 0


def test_requests_are_filtered_by_state_and_source(desk) -> None:
    desk.receive("evt_1")
    rejected = desk.keep_request("rejected", b"x", {})
    assert [row["id"] for row in desk.json("requests", "--state", "rejected")] == [rejected]
    assert len(desk.json("requests", "--source", "stripe")) == 2
    assert len(desk.json("requests", "--source", "str*")) == 2
    assert desk.json("requests", "--source", "twilio") == []


@pytest.mark.parametrize("name", ["requests", "events", "deliveries"])
def test_a_state_that_there_is_not_is_refused_with_those_that_there_are(desk, name) -> None:
    said = desk.run(name, "--state", "lost")
    assert (said.code, said.out) == (2, "")
    assert "'lost' is not one of '" in said.err


@pytest.mark.parametrize("duration", ["soon", "3", "-1h", "1 h", "h", "", "9999999999d", "4000d"])
def test_a_duration_that_is_none_is_refused_in_a_sentence(desk, duration) -> None:
    said = desk.run("events", "--since", duration)
    assert (said.code, said.out) == (2, "")
    assert "Invalid value for '--since': " in said.err


@pytest.mark.parametrize("arguments", [
    *((name, "--before", "garbage") for name in LISTS), ("deliveries", "--event", "garbage"),
])  # fmt: skip
def test_an_id_that_is_none_is_refused_in_a_sentence(desk, arguments) -> None:
    said = desk.run(*arguments)
    assert said.code == 1
    assert said.sentence.startswith("hub: garbage is not an id")


def test_what_only_played_is_marked_for_people_and_programs(desk) -> None:
    desk.receive("evt_1")
    desk.set_state("keep", "succeeded", sandbox=True)
    [row] = [row for row in desk.json("deliveries") if row["route"] == "keep"]
    assert row["sandbox"] is True
    assert row["state"] == "succeeded"
    assert "succeeded (sandbox)" in desk.run("deliveries").out


def test_ids_are_never_broken_on_a_narrow_screen(desk, monkeypatch) -> None:
    monkeypatch.setattr(tables, "PIPE_WIDTH", 80)
    event_id = desk.receive("evt_1")
    desk.set_state("tell", "unknown", error="it answered 500, " * 20)
    told = desk.run("deliveries").out
    assert all(row["id"] in told for row in desk.json("deliveries"))
    assert event_id in desk.run("events").out


def test_a_row_in_a_pipe_is_one_line(desk) -> None:
    desk.receive("evt_1")
    desk.set_state("tell", "unknown", error="it answered 500, " * 20)
    assert len(desk.run("deliveries").out.splitlines()) == 4


def test_events_are_found_by_what_people_know_of_them(desk_anywhere) -> None:
    desk_anywhere.receive("evt_1")
    desk_anywhere.receive("evt_2")
    with desk_anywhere.store.write() as connection:
        assert index_some(connection, most=10) == 2
    for text, wanted in {"evt_1": ["evt_1"], "$42.00": ["evt_2", "evt_1"], "nobody": []}.items():
        found = desk_anywhere.json("events", "--search", text)
        assert [one["external_id"] for one in found] == wanted
    assert desk_anywhere.json("events", "--search", "evt_1", "--source", "else") == []
