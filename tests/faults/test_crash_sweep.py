"""Crash sweep: every crash place × every behaviour of the far end × every class of action."""

from collections import Counter
from collections.abc import Iterator

import pytest

from hub.worker import drain
from tests.behaviours import Behaviour
from tests.faults.places import PLACES
from tests.faults.sweeping import Sweep
from tests.faults.swept import ONCE, WAYS, Case, End

WORKER = [place for place in PLACES if place.startswith("worker")]
CLOCK = [place for place in PLACES if place.startswith("clock")]
ENDS = ("exact", "double", "lost", "open with a person")


def cases(way: str) -> list[Case]:
    """Return every place × every behaviour; repeatable actions leave no doubt to settle."""
    places = WORKER + CLOCK if way in ONCE else WORKER
    return [Case(place, behaviour, way) for place in places for behaviour in Behaviour]


def diagonal() -> list[Case]:
    """Return every place, every behaviour and every way at least once."""
    behaviours = list(Behaviour)
    worker = [
        Case(place, behaviours[n % len(behaviours)], WAYS[n % len(WAYS)])
        for n, place in enumerate(WORKER)
    ]
    clock = [
        Case(place, behaviours[(3 * n + 1) % len(behaviours)], ONCE[n % len(ONCE)])
        for n, place in enumerate(CLOCK)
    ]
    return worker + clock


@pytest.fixture(autouse=True)
def _drains_linger_briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drain, "LINGER_S", 0.02)


@pytest.fixture
def sqlite_or_postgresql_url(request: pytest.FixtureRequest, store: str) -> str:
    return str(request.getfixturevalue(f"{store}_url"))


@pytest.fixture
def sweep(tmp_path, sqlite_or_postgresql_url, redis_url) -> Iterator[Sweep]:
    with Sweep(tmp_path, sqlite_or_postgresql_url, redis_url) as sweep:
        yield sweep


def check(sweep: Sweep, swept: list[Case], row: dict[str, object]) -> None:
    """Run cases, count their ends, and assert that open ones could not have been known."""
    ends = {case: sweep.run(case) for case in swept}
    counts = Counter(end.name for end in ends.values())
    row["lost"], row["second"] = counts["lost"], counts["double"]
    row["note"] = f"; {len(ends)} cases: " + " · ".join(f"{counts[name]} {name}" for name in ENDS)
    wrong = {str(case): end for case, end in ends.items() if end.name in ("lost", "double")}
    assert not wrong, wrong
    known = {str(case): end for case, end in ends.items() if could_be_known(case, end)}
    assert not known, f"left open, and somebody could know: {known}"
    assert counts["exact"], "nothing ever ended well"


def could_be_known(case: Case, end: End) -> bool:
    """Return whether a case was left open although the far end had evidence.

    Callbacks are evidence of acceptance, and never of the opposite; the list is evidence of both.
    """
    if end.name != "open with a person" or case.way == "in the dark":
        return False
    return case.way != "told" or end.effects > 0


@pytest.mark.parametrize("store", ["postgresql", "sqlite"])
def test_every_place_and_every_behaviour_once(sweep, store, fault):
    """F9 F34 F35 F36 F37 F39 F43 crash sweep, a diagonal of it"""
    swept = diagonal()
    assert {one.place for one in swept} == set(WORKER + CLOCK)
    assert {one.behaviour for one in swept} == set(Behaviour)
    assert {one.way for one in swept} == set(WAYS)
    check(sweep, swept, fault.row)


@pytest.mark.faults
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("store", ["postgresql", "sqlite"])
def test_nothing_is_doubled_or_lost_wherever_a_process_dies(sweep, store, way, fault):
    """F9 F34 F35 F36 F37 F39 F43 crash sweep"""
    check(sweep, cases(way), fault.row)
