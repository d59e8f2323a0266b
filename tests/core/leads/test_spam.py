"""Spam score: each rule holds its kind of submission, and lets all others through."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.contract.form_inbound import Signals
from hub.core.configuration import FormLimits, Rate
from hub.core.leads.spam import (
    ScoredSubmission,
    SpamScore,
    over_rate_limit,
    score,
    sender_of,
    told_by,
)
from hub.gateways.database.engine import open_database
from tests.core.making import NOW

PERSON = Signals(honeypot=False, after_s=None, links=0, text="", phone=None, challenge=None)
HOME = sender_of(ip_address("203.0.113.7"))
WIDE = Rate(10_000, 60)
BUY, LEAK = "we make your site rank first", "it leaks above the kitchen"
OPEN = FormLimits(per_address=WIDE, per_network=WIDE, refuse=WIDE, repeats=WIDE)


def post(n: int = 0, *, sender=HOME, text: str = "", source: str = "contact", at_s: float = 0.0):
    return ScoredSubmission(
        source=source,
        submission=f"view-{n}",
        signals=replace(PERSON, text=text),
        sender=sender,
        at=NOW + timedelta(seconds=at_s),
    )


def weigh_all(database, posts, limits: FormLimits) -> list[SpamScore]:
    with database.write() as connection:
        return [score(connection, one, limits) for one in posts]


def kinds(weighed: list[SpamScore]) -> list[str]:
    return ["; ".join(why.partition(":")[0] for why in one.reasons) for one in weighed]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        ({"honeypot": True}, ["honeypot"]),
        ({"after_s": 0.0}, ["too fast"]),
        ({"after_s": 1.999}, ["too fast"]),
        ({"after_s": 2.0}, []),
        ({"after_s": None}, []),
        ({"links": 3}, []),
        ({"links": 4}, ["links"]),
        ({"honeypot": True, "after_s": 1, "links": 9}, ["honeypot", "too fast", "links"]),
        ({"phone": None, "text": "http://a.example", "challenge": "x"}, []),
    ],
)
def test_a_submission_says_against_itself_what_the_table_has(changes, expected) -> None:
    told = told_by(replace(PERSON, **changes), FormLimits())
    assert [why.partition(":")[0] for why in told] == expected


def test_the_limits_of_the_file_count_not_the_defaults() -> None:
    strict = FormLimits(links=0, min_seconds=10)
    assert len(list(told_by(replace(PERSON, links=1, after_s=9.9), strict))) == 2
    assert not list(
        told_by(replace(PERSON, links=99, after_s=0), FormLimits(links=99, min_seconds=0))
    )


@pytest.mark.parametrize(
    ("one", "other", "address", "network"),
    [
        ("203.0.113.7", "203.0.113.8", False, True),
        ("203.0.113.7", "203.0.114.7", False, False),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True, True),
        ("2001:db8:1:2::1", "2001:db8:1:ff:ffff::9", True, True),
        ("2001:db8:1:2::1", "2001:db8:1:100::1", False, True),
        ("2001:db8:1:2::1", "2001:db8:2:2::1", False, False),
        ("::ffff:203.0.113.7", "203.0.113.7", True, True),
    ],
)
def test_who_is_one_address_and_one_network(one, other, address, network) -> None:
    first, second = sender_of(ip_address(one)), sender_of(ip_address(other))
    assert (first.address == second.address) is address
    assert (first.digest == second.digest) is address
    assert (first.network == second.network) is network
    assert one not in first.digest


@given(st.ip_addresses())
def test_every_address_has_a_sender_whose_network_holds_it(address) -> None:
    sender = sender_of(address)
    assert sender == sender_of(address)
    assert len(sender.digest) == 32


def test_more_than_the_rate_of_one_address_is_held_and_others_are_not(database) -> None:
    limits = replace(OPEN, per_address=Rate(2, 60))
    posts = [post(n) for n in range(4)]
    neighbour = post(9, sender=sender_of(ip_address("203.0.113.8")))
    assert kinds(weigh_all(database, [*posts, neighbour], limits)) == [
        "", "", "address", "address", "",
    ]  # fmt: skip


def test_more_than_the_rate_of_one_network_is_held(database) -> None:
    limits = replace(OPEN, per_network=Rate(2, 60))
    hosts = ["203.0.113.1", "203.0.113.2", "203.0.113.3", "198.51.100.1"]
    posts = [post(n, sender=sender_of(ip_address(host))) for n, host in enumerate(hosts)]
    assert kinds(weigh_all(database, posts, limits)) == ["", "", "network", ""]


def test_an_address_is_one_over_all_forms(database) -> None:
    limits = replace(OPEN, per_address=Rate(1, 60))
    assert kinds(weigh_all(database, [post(1), post(2, source="other")], limits)) == ["", "address"]


def test_the_same_text_too_often_is_held_whoever_sends_it(database) -> None:
    limits = replace(OPEN, repeats=Rate(2, 60))
    senders = [sender_of(ip_address(f"198.51.{n}.1")) for n in range(3)] + [None]
    posts = [post(n, sender=sender, text=BUY) for n, sender in enumerate(senders)]
    others = [post(8, text=LEAK), post(9, text=BUY, source="other")]
    assert kinds(weigh_all(database, [*posts, *others], limits)) == [
        "", "", "repeats", "repeats", "", "",
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["", "  ", "jane doe", "x" * 19])
def test_a_text_that_says_no_more_than_a_name_is_no_repeat(database, text: str) -> None:
    limits = replace(OPEN, repeats=Rate(1, 60))
    posts = [post(n, text=text) for n in range(3)]
    assert kinds(weigh_all(database, posts, limits)) == ["", "", ""]


def test_one_submission_sent_again_and_again_repeats_nothing(database) -> None:
    limits = replace(OPEN, repeats=Rate(1, 60))
    assert kinds(weigh_all(database, [post(1, text=LEAK)] * 5, limits)) == [""] * 5


def test_one_submission_of_a_text_that_was_held_is_held_when_sent_again(database) -> None:
    """Otherwise a sender who posts everything twice gets half of it through."""
    limits = replace(OPEN, repeats=Rate(1, 60))
    posts = [post(1, text=BUY), post(2, text=BUY), post(2, text=BUY)]
    assert kinds(weigh_all(database, posts, limits)) == ["", "repeats", "repeats"]


def test_what_was_long_ago_does_not_count(database) -> None:
    limits = FormLimits(per_address=Rate(1, 60), repeats=Rate(1, 60))
    posts = [post(1, text=LEAK), post(2, text=LEAK, at_s=67)]
    assert kinds(weigh_all(database, posts, limits)) == ["", ""]


def test_beyond_the_hard_number_an_address_is_refused_and_its_neighbours_are_not(database) -> None:
    limits = replace(OPEN, refuse=Rate(3, 60))
    with database.write() as connection:
        weighed = [score(connection, post(n), limits) for n in range(3)]
        assert not any(one.refused for one in weighed)
        assert over_rate_limit(connection, HOME, limits, NOW)
        assert score(connection, post(4), limits).refused
        other = sender_of(ip_address("203.0.113.8"))
        assert not over_rate_limit(connection, other, limits, NOW)
        assert not over_rate_limit(connection, HOME, limits, NOW + timedelta(seconds=67))


def test_nobody_is_refused_whose_address_is_not_known(database) -> None:
    limits = FormLimits(refuse=Rate(1, 60), per_address=Rate(1, 60), per_network=Rate(1, 60))
    weighed = weigh_all(database, [post(n, sender=None) for n in range(5)], limits)
    assert weighed == [SpamScore()] * 5


def test_of_fifty_at_once_exactly_as_many_pass_as_may(database_url) -> None:
    database = open_database(database_url, pool_size=50)
    limits = FormLimits(refuse=Rate(30, 60), per_address=Rate(20, 60), repeats=Rate(10, 60))

    def one(n: int) -> SpamScore:
        with database.write() as connection:
            return score(connection, post(n, text=BUY), limits)

    with ThreadPoolExecutor(50) as pool:
        weighed = list(pool.map(one, range(50)))
    database.engine.dispose()
    told = kinds([found for found in weighed if not found.refused])
    assert sum(found.refused for found in weighed) == 20
    assert sum("address" not in why for why in told) == 20
    assert sum(not why for why in told) == 10
