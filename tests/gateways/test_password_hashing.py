"""Password hashing: a refused password costs as much as an accepted one, for every name."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from threading import Barrier, Event, Lock

import pytest

from hub.gateways import password_hashing
from hub.gateways.password_hashing import (
    NOBODYS,
    HashingBusy,
    HashingPlaces,
    hash_password,
    is_outdated,
    is_password,
    places_for,
)


def test_a_password_is_its_own_hash_s_and_no_other():
    kept = hash_password("lemon otter trail")
    assert is_password("lemon otter trail", kept)
    assert not is_password("lemon otter trails", kept)
    assert not is_password("lemon otter trail", "no hash at all")


def test_nobody_s_hash_costs_what_all_others_cost_and_is_nobody_s():
    assert not is_outdated(NOBODYS)
    assert not is_password("", None)
    assert not is_password("nobody's", None)


def test_no_more_are_under_way_than_there_are_places_nor_hash_than_there_are_turns():
    places, lock, two, go = HashingPlaces(4, 2, within_s=60), Lock(), Barrier(3), Event()
    counts = {"under way": 0, "hashing": 0}
    most = dict(counts)

    def count(what: str, change: int) -> None:
        with lock:
            counts[what] += change
            most[what] = max(most[what], counts[what])

    def attempt(_: int) -> None:
        with places.place() as turn:
            count("under way", 1)
            with turn():
                count("hashing", 1)
                if not go.is_set():
                    two.wait(30)
                    go.wait(30)
                count("hashing", -1)
            count("under way", -1)

    with ThreadPoolExecutor(64) as threads:
        attempts = [threads.submit(attempt, n) for n in range(64)]
        two.wait(30)
        go.set()
        for one in attempts:
            one.result(30)
    assert most["under way"] <= 4
    assert most["hashing"] == 2


def test_what_has_to_wait_too_long_is_refused_and_gives_its_place_back():
    places = HashingPlaces(2, 1, within_s=0.01)
    with places.place() as turn, turn():
        for _ in range(3):
            with places.place() as other, pytest.raises(HashingBusy), other():
                pass
        with places.place(), pytest.raises(HashingBusy), places.place():
            pass
    with places.place(), places.place():
        pass


@pytest.mark.parametrize(("threads", "processes", "most"), [(8, 2, 4), (1, 64, 1)])
def test_a_process_hashes_in_half_of_its_threads_and_at_least_in_one(
    monkeypatch, threads, processes, most
):
    monkeypatch.setattr(password_hashing, "WITHIN_S", 0.01)
    places = places_for(threads, processes)
    with ExitStack() as held:
        for _ in range(most):
            held.enter_context(places.place())
        with pytest.raises(HashingBusy), places.place():
            pass
