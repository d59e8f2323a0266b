"""`retention` in `hub.yaml`: the parsed spans, and the exact sentence of each fault."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from hub.config import load_config
from hub.core.configuration import Retention
from hub.core.errors import ConfigError

LIKE = "expected a duration like 10s 5m 2h 3d, or forever"
BETWEEN = "expected a duration from 1s to 36500d, or forever"
TOO_LONG = "longer than `events`: a body is deleted with its events, if not before"
TOO_SHORT = "shorter than `events`: an event that comes again would be taken in twice"
DAY = timedelta(days=1)


def loaded(folder: Path, text: str) -> Retention:
    path = folder / "hub.yaml"
    path.write_text(text)
    return load_config(path, {"DAYS": "5d"}, published_secrets_allowed=True).retention


@pytest.mark.parametrize("text", ["", "retention:\n", "retention: {}\n", "retention: {keys: }\n"])
def test_without_a_word_the_defaults_are_those_of_the_documentation(tmp_path, text) -> None:
    assert loaded(tmp_path, text) == Retention(
        bodies=90 * DAY, events=400 * DAY, keys=800 * DAY, rejected=14 * DAY, held=60 * DAY,
        answers=30 * DAY, alerts=400 * DAY, sessions=30 * DAY, audit=None,
    )  # fmt: skip


def test_each_span_can_be_set_also_from_the_environment(tmp_path) -> None:
    text = (
        "retention: {bodies: 1d, events: 2d, keys: forever, rejected: '${DAYS}', held: 7d, "
        "answers: 12h, alerts: 30m, sessions: 90m, audit: 3650d}\n"
    )
    assert loaded(tmp_path, text) == Retention(
        DAY, 2 * DAY, None, 5 * DAY, 7 * DAY, timedelta(hours=12), timedelta(minutes=30),
        timedelta(minutes=90), 3650 * DAY,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "changes"),
    [
        ("events: 30d", {"events": 30 * DAY, "bodies": 30 * DAY}),
        ("events: 900d", {"events": 900 * DAY, "keys": 900 * DAY}),
        ("events: forever", {"events": None, "keys": None}),
        ("bodies: 200d", {"bodies": 200 * DAY}),
        ("events: 90d", {"events": 90 * DAY}),
    ],
)
def test_a_default_gives_way_to_what_stands_in_the_file(tmp_path, text, changes) -> None:
    assert loaded(tmp_path, f"retention: {{{text}}}\n") == replace(Retention(), **changes)


@pytest.mark.parametrize(
    ("lines", "faults"),
    [
        ("body: 90d", ["2: retention.body: unknown key `body`; did you mean `bodies`?"]),
        (
            "events: 400",
            ["2: retention.events: a duration needs a unit: 400s 400m 400h 400d, or forever"],
        ),
        ("keys: ever\n  held: []", [f"2: retention.keys: {LIKE}", f"3: retention.held: {LIKE}"]),
        ("audit: 0d", [f"2: retention.audit: {BETWEEN}"]),
        ("events: 12m", ["2: retention.events: expected a duration from 1d to 36500d, or forever"]),
        ("bodies: 3m", ["2: retention.bodies: expected a duration from 1d to 36500d, or forever"]),
        ("events: 30d\n  bodies: 31d", [f"3: retention.bodies: {TOO_LONG}"]),
        ("bodies: forever", [f"2: retention.bodies: {TOO_LONG}"]),
        ("keys: 399d", [f"2: retention.keys: {TOO_SHORT}"]),
        ("events: forever\n  keys: 9000d", [f"3: retention.keys: {TOO_SHORT}"]),
        (
            "held: 6d",
            ["2: retention.held: people are told 7 days before: expected 7d or longer"],
        ),
    ],
)
def test_each_fault_is_said_with_its_line(tmp_path, lines, faults) -> None:
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, f"retention:\n  {lines}\n")
    assert [one.removeprefix(f"{tmp_path}/hub.yaml:") for one in caught.value.faults] == faults


def test_the_section_is_a_mapping(tmp_path) -> None:
    with pytest.raises(ConfigError, match="1: retention: expected a mapping of keys"):
        loaded(tmp_path, "retention: 90d\n")
