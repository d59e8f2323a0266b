"""Submission tokens: whose they are, how long they last, and that one of them is one lead."""

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.contract.event import Event
from adapters.contract.request import InboundRequest
from adapters.form import submission_tokens
from adapters.form.inbound import Form
from adapters.form.submission import URLENCODED
from tests.adapters.posting import NOW, posted
from tests.adapters.submitting import GOOD, URL, form

KEY, OTHER_KEY = b"k" * 32, b"o" * 32
DAY = timedelta(days=1)


def keyed(key: bytes = KEY) -> Form:
    return form(token_key=key)


def request(token: str, at: datetime = NOW, **values: str) -> InboundRequest:
    body = urlencode(GOOD | values | {"_token": token}).encode()
    return posted(body, {"content-type": URLENCODED}, at=at, url=URL)


def event(token: str, at: datetime = NOW, on: Form | None = None, **values: str) -> Event:
    [made] = (on or keyed()).parse(request(token, at, **values))
    return made


def after_of(token: str) -> float | None:
    on = keyed()
    return on.signals(on.read(request(token))).after_s


def test_the_same_token_is_one_lead_and_another_is_another() -> None:
    """B68."""
    token = keyed().issue_token(NOW, "view-1")
    first, again = event(token), event(token, NOW + timedelta(seconds=1))
    assert first.external_id == "token:view-1"
    assert (first.external_id, first.fingerprint) == (again.external_id, again.fingerprint)
    assert event(keyed().issue_token(NOW, "view-2")).external_id != first.external_id
    assert event(token, name="Jane").fingerprint != first.fingerprint


@pytest.mark.parametrize(("age", "is_known"), [
    (timedelta(0), True), (DAY, True), (DAY + timedelta(seconds=1), False),
    (timedelta(seconds=-submission_tokens.EARLY_S), True),
    (timedelta(seconds=-submission_tokens.EARLY_S - 1), False),
])  # fmt: skip
def test_a_token_lasts_a_day_and_may_come_from_a_clock_that_is_early(
    age: timedelta, *, is_known: bool
) -> None:
    token = keyed().issue_token(NOW - age, "n")
    assert (event(token).external_id == "token:n") == is_known


@pytest.mark.parametrize("spoil", [
    lambda token: "", lambda token: token[:-1], lambda token: token + "x",
    lambda token: token + "\n",
    lambda token: "0" + token, lambda token: token.replace(".n.", ".m."),
    lambda token: token.swapcase(), lambda token: f" {token}",
    lambda token: submission_tokens.issue(OTHER_KEY, NOW, "n"), lambda token: "view-1",
    lambda token: "f" * 10_000, lambda token: "\u00e9",
])  # fmt: skip
def test_a_token_that_is_not_ours_is_no_fault_and_makes_nothing_one(spoil: Any) -> None:
    token = spoil(keyed().issue_token(NOW, "n"))
    first, later = event(token), event(token, NOW + timedelta(microseconds=1))
    assert first.external_id != later.external_id
    assert not first.external_id.startswith("token:")
    assert after_of(token) is None


def test_a_token_cannot_pretend_to_be_somebody_elses_post() -> None:
    stolen = event("").external_id
    assert event(stolen).external_id != stolen


def test_a_token_of_another_form_is_none() -> None:
    token = keyed(OTHER_KEY).issue_token(NOW, "n")
    assert event(token).external_id != "token:n"
    assert event(token, on=keyed(OTHER_KEY)).external_id == "token:n"


@pytest.mark.parametrize(
    ("age_s", "after_s"), [(3.5, 4.0), (0.0, 0.0), (-60.0, 0.0), (86_000, 86_000)]
)
def test_it_is_known_how_long_after_its_token_a_form_came(age_s: float, after_s: float) -> None:
    token = keyed().issue_token(NOW - timedelta(seconds=age_s), "n")
    assert after_of(token) == pytest.approx(after_s)


@given(st.text() | st.binary().map(bytes.hex))
def test_whatever_stands_there_is_read_without_a_fault(value: str) -> None:
    assert submission_tokens.read(KEY, value, NOW) is None


@given(st.integers(0, 86_400), st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True))
def test_what_was_issued_is_read_again(age_s: int, nonce: str) -> None:
    token = submission_tokens.issue(
        KEY, datetime.fromtimestamp(NOW.timestamp() - age_s, UTC), nonce
    )
    assert submission_tokens.read(KEY, token, NOW) == (age_s, nonce)
