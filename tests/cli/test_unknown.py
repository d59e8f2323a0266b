"""`hub unknown` with the evidence, and `hub alerts`."""

from datetime import UTC, datetime
from uuid import UUID, uuid4

from sqlalchemy import insert

from hub.core.ids import new_id
from hub.core.models import Attempt
from hub.core.monitoring import alerts

AT = datetime(2026, 11, 21, 12, tzinfo=UTC)
EVIDENCE = [
    {"at": "2026-11-21T12:02:05Z", "by": "lookup", "said": "its list does not have it"},
    {"at": "2026-11-21T12:03:05Z", "by": "lookup", "said": "several \x1b[2J are alike"},
]


def doubt(desk) -> str:
    """Put a delivery into an unknown outcome with evidence; return its id."""
    desk.receive("evt_1")
    row_id = desk.set_state("tell", "unknown", error="no answer")
    with desk.store.write() as connection:
        connection.execute(
            insert(Attempt).values(
                id=uuid4(), delivery_id=UUID(row_id), n=1, key=row_id, state="unknown",
                parameters={}, started_at=AT, evidence=EVIDENCE, absences=1,
            )
        )  # fmt: skip
    return row_id


def test_unknown_shows_the_evidence_line_by_line(desk_anywhere) -> None:
    row_id = doubt(desk_anywhere)
    said = desk_anywhere.run("unknown")
    assert said.code == 0
    lines = said.out.splitlines()
    assert f"{row_id}:" in lines
    told = lines[lines.index(f"{row_id}:") + 1 :]
    assert ["the call: no answer" in told[0], "lookup: its list" in told[1]] == [True, True]
    assert "\x1b" not in said.out


def test_unknown_as_json_has_when_it_was_sent_and_the_evidence(desk_anywhere) -> None:
    row_id = doubt(desk_anywhere)
    [row] = desk_anywhere.json("unknown")
    assert (row["id"], row["sent_at"], row["absences"]) == (row_id, "2026-11-21T12:00:00Z", 1)
    assert [one["by"] for one in row["evidence"]] == ["lookup", "lookup"]


def test_an_alert_is_listed_until_it_is_over(desk_anywhere) -> None:
    subject = f"delivery {new_id(AT)}"
    assert desk_anywhere.json("alerts") == []
    with desk_anywhere.store.write() as connection:
        for _ in range(2):
            alerts.begin(connection, alerts.UNKNOWN_OUTCOME, subject, "nobody knows", now=AT)
    [alert] = desk_anywhere.json("alerts")
    assert (alert["kind"], alert["subject"]) == ("unknown outcome", subject)
    assert "nobody knows" in desk_anywhere.run("alerts").out
    with desk_anywhere.store.write() as connection:
        alerts.end(connection, alerts.UNKNOWN_OUTCOME, subject, now=AT)
    assert desk_anywhere.json("alerts") == []
    assert len(desk_anywhere.json("alerts", "--ended")) == 1
