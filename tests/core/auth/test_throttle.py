"""Throttle of failed sign-ins: counted, delayed, forgiven, and pruned."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from hub.core.auth import sessions, throttle, users
from hub.core.auth.roles import Role
from hub.core.auth.throttle import (
    FREE_OF_ACCOUNT,
    FREE_OF_ADDRESS,
    LONGEST_WAIT,
    clear,
    register_attempt,
)
from hub.core.models import SignInTry
from tests.core.making import NOW

HERE = "203.0.113.9"


@pytest.fixture
def connection(database):
    with database.write() as connection:
        yield connection


def fail(connection, times, *, name="jane", address=None, now=NOW):
    """Register so many attempts; return how many were let through, and the wait of the last one."""
    counted = [register_attempt(connection, name, address, now=now) for _ in range(times)]
    return sum(one.wait is None for one in counted), counted[-1].wait


def test_an_account_has_a_few_tries_and_then_waits_longer_each_time(connection):
    assert fail(connection, 9) == (FREE_OF_ACCOUNT, timedelta(seconds=1))
    waits, now = [], NOW
    for _ in range(14):
        now += register_attempt(connection, "jane", None, now=now).wait or timedelta()
        assert register_attempt(connection, "jane", None, now=now).wait is None
        waits.append(register_attempt(connection, "jane", None, now=now).wait)
    assert waits == sorted(waits)
    assert waits[0] == timedelta(seconds=2)
    assert waits[-1] == LONGEST_WAIT


def test_another_account_and_another_address_do_not_wait(connection):
    fail(connection, 9)
    assert register_attempt(connection, "bob", None, now=NOW).wait is None


def test_an_address_has_more_tries_over_all_accounts(connection):
    heard = [
        register_attempt(connection, f"user{n}", HERE, now=NOW).wait is None
        for n in range(2 * FREE_OF_ADDRESS)
    ]
    assert heard == [True] * FREE_OF_ADDRESS + [False] * FREE_OF_ADDRESS
    assert register_attempt(connection, "user99", "203.0.113.10", now=NOW).wait is None


def test_one_household_has_one_address_of_ipv6(connection):
    for n in range(FREE_OF_ADDRESS):
        register_attempt(connection, f"user{n}", f"2001:db8:0:{n:x}::{n:x}", now=NOW)
    assert register_attempt(connection, "user99", "2001:db8:0:ff:ffff::1", now=NOW).wait
    assert register_attempt(connection, "user99", "2001:db8:0:100::1", now=NOW).wait is None


@pytest.mark.parametrize("alike", [f"::ffff:{HERE}", f"[{HERE}]", f"::ffff:{HERE}%eth0"])
def test_an_address_counts_as_itself_however_it_is_written(connection, alike):
    for n in range(FREE_OF_ADDRESS):
        register_attempt(connection, f"user{n}", HERE, now=NOW)
    assert register_attempt(connection, "user99", alike, now=NOW).wait


def test_whoever_signed_in_from_their_network_of_ipv6_is_known_at_its_next_address(connection):
    """Browsers change the second half of their address every day (RFC 8981)."""
    user_id = users.add(
        connection, "jane", Role.ADMIN, password_hash="x", actor="tests", now=NOW
    )  # fmt: skip
    sessions.begin(connection, user_id, now=NOW, address="2001:db8:0:1::1")
    assert fail(connection, 9, address="2001:db8:5::1")[1]
    assert register_attempt(connection, "jane", "2001:db8:0:2::77", now=NOW).wait is None
    assert fail(connection, 9, address="2001:db8:0:2::78")[1]
    throttle.unlock(connection, "jane")
    assert register_attempt(connection, "jane", "2001:db8:0:2::79", now=NOW).wait is None


def test_whoever_signed_in_from_there_before_is_not_slowed_by_strangers(connection):
    user_id = users.add(
        connection, "jane", Role.ADMIN, password_hash="x", actor="tests", now=NOW
    )  # fmt: skip
    sessions.begin(connection, user_id, now=NOW, address=HERE)
    assert fail(connection, 9, address="198.51.100.1")[1]
    assert register_attempt(connection, "jane", HERE, now=NOW).wait is None
    assert fail(connection, 9, address=HERE)[1]


def test_a_sign_in_forgives_the_account_and_gives_the_address_its_try_back(connection):
    for _ in range(3 * FREE_OF_ADDRESS):
        counted = register_attempt(connection, "jane", HERE, now=NOW)
        assert counted.wait is None
        clear(connection, counted)


def test_without_addresses_accounts_have_counters_and_all_together_a_budget_a_minute(connection):
    assert fail(connection, 9) == (FREE_OF_ACCOUNT, timedelta(seconds=1))
    for n in range(throttle.SHARED - 9):
        assert register_attempt(connection, f"user{n}", None, now=NOW).wait is None

    def knock(address=None, *, seconds):
        return register_attempt(
            connection, "kim", address, now=NOW + timedelta(seconds=seconds)
        ).wait

    assert knock(seconds=20) == timedelta(seconds=40)
    assert knock(HERE, seconds=20) is None
    assert knock(seconds=60) is None


@pytest.mark.parametrize("address", [None, HERE])
def test_a_browser_that_was_signed_in_is_slowed_by_nobody_else(connection, address):
    user_id = users.add(
        connection, "jane", Role.ADMIN, password_hash="x", actor="tests", now=NOW
    )  # fmt: skip
    token = sessions.begin(connection, user_id, now=NOW, address="198.51.100.1")
    browser = sessions.begun_with(connection, token, "jane")
    assert sessions.begun_with(connection, token, "kim") is None
    for n in range(2 * FREE_OF_ADDRESS):
        register_attempt(connection, f"user{n}", address, now=NOW)
    fail(connection, 9, address=address)

    def knock():
        return register_attempt(connection, "jane", address, browser=browser, now=NOW).wait

    assert [knock() is None for _ in range(9)] == [True] * FREE_OF_ACCOUNT + [False] * 4
    throttle.unlock(connection, "jane")
    assert knock() is None


def test_an_unlocked_account_is_heard_at_once(connection):
    fail(connection, 9)
    assert throttle.waiting(connection, ["jane", "bob"], now=NOW).keys() == {"jane"}
    throttle.unlock(connection, "jane")
    assert throttle.waiting(connection, ["jane", "bob"], now=NOW) == {}
    assert register_attempt(connection, "jane", None, now=NOW).wait is None


def test_failures_are_forgotten_after_a_day_and_swept(connection):
    fail(connection, 9, address=HERE)
    fail(connection, 1, name="bob", address=HERE, now=NOW + timedelta(hours=25))
    rows = connection.execute(select(func.count()).select_from(SignInTry)).scalar_one()
    assert rows == 2
    assert fail(connection, 5, now=NOW + timedelta(hours=25))[0] == FREE_OF_ACCOUNT


def test_no_name_and_no_address_is_kept(connection):
    fail(connection, 3, address=HERE)
    rows = repr(connection.execute(select(SignInTry.__table__)).all())
    assert "jane" not in rows
    assert "203" not in rows


def test_fifty_at_once_are_fifty(database):
    def knock(n: int) -> bool:
        now = NOW + timedelta(milliseconds=n % 7)  # no two clocks agree
        with database.write() as connection:
            return register_attempt(connection, "jane", HERE, now=now).wait is None

    with ThreadPoolExecutor(8) as threads:
        heard = sum(threads.map(knock, range(50)))
    assert heard == FREE_OF_ACCOUNT
