"""Sample files: what of them changes, and that nothing else does."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.contract.sample_files import ANCHOR, SampleFiles, derived_id
from tests.adapters.contract.recorded import RECEIVED_AT

BODY = (
    '{"id":"evt_1", "made": "2026-11-20T12:00:00Z", "local":"2026-11-20T06:59:58.250-05:00",\r\n'
    ' "precise":"2026-11-20T12:00:00.000001Z", "at":1795176000,"at_ms": 1795176000250,'
    ' "born":"1990-01-01T00:00:00Z", "old": 1000000000, "near": "x1795176000",\n'
    ' "live":true, "test": false, "alive": true, "of":"cus_0001", "other":"pay_00ff"}\r\n'
)
FORM = "Sid=SM01&At=Fri%2C+20+Nov+2026+11%3A59%3A59+%2B0000&Empty=&Body=a+%26+b"


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SampleFiles:
    folder = tmp_path / "provider_of_samples" / "samples" / "a"
    folder.mkdir(parents=True)
    (folder.parents[1] / "__init__.py").touch()
    (folder / "b.json").write_bytes(BODY.encode())
    (folder / "b.form").write_bytes(FORM.encode())
    monkeypatch.syspath_prepend(tmp_path)
    return SampleFiles(
        "provider_of_samples",
        ("a/b",),
        given=r"\bevt_[0-9]+",
        derived=r"\bpay_[0-9a-f]+",
        live_flags={"live": True, "test": False},
    )


def test_at_the_anchor_only_the_ids_are_others(files: SampleFiles) -> None:
    made = files.body("a/b", "mine", ANCHOR)
    other = derived_id("pay_00ff", "mine")
    assert made.decode() == BODY.replace("evt_1", "mine").replace("pay_00ff", other)
    assert ANCHOR == RECEIVED_AT


def test_times_near_the_anchor_move_and_stay_written_as_they_were(files: SampleFiles) -> None:
    by = timedelta(days=2, seconds=1, milliseconds=500, microseconds=7)
    made = json.loads(files.body("a/b", "mine", ANCHOR + by))
    assert made["made"] == "2026-11-22T12:00:01Z"
    assert made["local"] == "2026-11-22T06:59:59.750-05:00"
    assert made["precise"] == "2026-11-22T12:00:01.500008Z"
    assert (made["at"], made["at_ms"]) == (1795176000 + 172_801, 1795176000750 + 172_801_000)
    assert (made["born"], made["old"]) == ("1990-01-01T00:00:00Z", 1_000_000_000)
    assert made["near"] == "x1795176000"
    at = datetime(2020, 2, 29, 23, 59, 59, 999_999, UTC)
    assert json.loads(files.body("a/b", "mine", at))["at"] == int(at.timestamp())


def test_a_test_event_says_so_and_ids_are_written_as_json_takes_them(files: SampleFiles) -> None:
    made = json.loads(files.body("a/b", 'a"\\1\u20ac', ANCHOR, live=False))
    assert (made["live"], made["test"], made["alive"]) == (False, True, True)
    assert (made["id"], made["of"]) == ('a"\\1\u20ac', "cus_0001")


def test_the_fields_of_a_form_change_each_on_its_own(files: SampleFiles) -> None:
    form = SampleFiles(files.package, files.types, kind="form", given=r"\bSM[0-9]+")
    assert form.body("a/b", "SM01", ANCHOR) == FORM.encode()
    made = parse_qsl(form.body("a/b", "x=&y", ANCHOR + timedelta(hours=1)).decode())
    assert made == [("Sid", "x=&y"), ("At", "Fri, 20 Nov 2026 12:59:59 +0000"), ("Body", "a & b")]


def test_a_type_without_a_file_is_told_with_those_that_exist(files: SampleFiles) -> None:
    for name in ("a/c", "../b", ""):
        with pytest.raises(LookupError, match=r"no sample of .*; there are: a/b"):
            files.body(name, "mine", ANCHOR)


@given(st.from_regex(r"([a-z]{2}_)?([0-9]{8,30}|[0-9a-f]{8,80})", fullmatch=True), st.text())
def test_a_derived_id_is_of_the_same_form_and_another_one(old: str, external_id: str) -> None:
    made = derived_id(old, external_id)
    prefix, _, rest = old.rpartition("_")
    assert len(made) == len(old)
    assert made.startswith(prefix)
    assert made.rpartition("_")[2].isdecimal() or not rest.isdecimal()
    assert made == derived_id(old, external_id)
    assert made != derived_id(old, f"{external_id} ")
