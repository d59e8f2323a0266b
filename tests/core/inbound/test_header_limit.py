"""Limits of stored headers: the longest are cut with a mark, and never pass for whole ones."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.errors import Refused
from hub.core.inbound.header_limit import (
    HEADERS_MOST_BYTES,
    URL_MOST_BYTES,
    StoredHeaders,
    cut_sentence,
    is_cut,
    limit_headers,
    limit_url,
)

MARK_BYTES = len("… (1234567 bytes left out)…")
LATIN = st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=300)
HEADERS = st.dictionaries(LATIN, LATIN, max_size=20)


def test_headers_of_an_ordinary_size_stay_as_they_are() -> None:
    given_headers = {"user-agent": "a" * 8000, "stripe-signature": "t=1,v1=" + "0" * 64}
    assert limit_headers(given_headers) == given_headers


def test_of_too_much_the_longest_is_cut_and_says_by_how_much() -> None:
    kept = limit_headers({"stripe-signature": "v1=0", "x-filler": "f" * 60_000})
    assert kept["stripe-signature"] == "v1=0"
    shown, _, rest = kept["x-filler"].partition("… (")
    assert set(shown) == {"f"}
    assert rest == f"{60_000 - len(shown)} bytes left out)"
    assert HEADERS_MOST_BYTES - 100 < len(shown) < HEADERS_MOST_BYTES


@given(HEADERS, st.integers(0, 2000))
def test_whatever_comes_fits_and_what_is_not_marked_is_whole(headers, most) -> None:
    kept = limit_headers(headers, most)
    size = sum(len(name) + len(value) for name, value in kept.items())
    assert size <= most + MARK_BYTES * len(headers)
    for name, value in kept.items():
        assert is_cut(value) or headers[name] == value
    assert not any(is_cut(value) for value in headers.values()), "nobody can send the mark"


def test_a_name_that_is_too_long_is_another_ones_name_no_more() -> None:
    long = "stripe-signature" + "s" * 50_000
    kept = limit_headers({long: "v1=0"})
    assert "stripe-signature" not in kept
    [(name, value)] = kept.items()
    assert name.endswith("…")
    assert is_cut(value)


def test_a_url_is_cut_too() -> None:
    url = "https://hooks.example/webhooks/x?" + "q" * 3000
    assert limit_url(url) == url
    cut = limit_url(url + "q" * 100_000)
    assert is_cut(cut)
    assert len(cut) <= URL_MOST_BYTES + MARK_BYTES


def test_a_cut_header_is_not_given_to_what_asks_for_it() -> None:
    stored = StoredHeaders(limit_headers({"host": "hub", "x-id": "i" * 20_000}))
    assert (stored["host"], stored.get("host"), stored.get("none", "no")) == ("hub", "hub", "no")
    assert "x-id" in stored
    for ask in (stored.get, stored.__getitem__):
        with pytest.raises(Refused, match="its header x-id was too long to be kept whole"):
            ask("x-id")


def test_the_sentence_names_what_was_cut() -> None:
    assert cut_sentence({"host": "hub"}, "https://hub/") is None
    assert "header x-id was too long" in str(
        cut_sentence(limit_headers({"x-id": "i" * 20_000}), "https://hub/")
    )
    assert "address was too long" in str(cut_sentence({}, limit_url("https://hub/" + "q" * 9000)))
