"""`hub db restored`: the operator declares that the database was restored from a backup."""

import pytest


def test_it_is_noted_told_and_audited(desk_anywhere) -> None:
    said = desk_anywhere.json("db", "restored", "--since", "2026-11-20T04:00:00+01:00")
    assert said == {"since": "2026-11-20T03:00:00Z"}
    [alert] = desk_anywhere.json("alerts")
    assert (alert["kind"], alert["subject"]) == ("restored from a backup", "database")
    assert "2026-11-20T03:00:00Z" in alert["message"]
    assert desk_anywhere.audited() == [("restored", None)]


@pytest.mark.parametrize(
    ("since", "sentence"),
    [
        ("2026-11-20T03:00:00", "has no zone"),
        ("2999-01-01T00:00:00Z", "is yet to come"),
        ("yesterday", "is no time"),
        ("0s", "is no time"),
    ],
)
def test_a_time_that_cannot_be_meant_is_refused(desk_anywhere, since, sentence) -> None:
    said = desk_anywhere.run("db", "restored", "--since", since)
    assert said.code == 2
    assert sentence in said.err
    assert desk_anywhere.json("alerts") == []
