"""Python's notation in RE2: what a pattern matched in Python, its translation matches in RE2."""

import re
import unicodedata
import warnings

import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from adapters.form.re2_syntax import to_re2

TEXTS = (
    "Jos\u00e9 M\u00fcller",
    "M\u00fc1",
    "a_b",
    "a\u00a0b",
    "\u0661\u0662",
    "{,5}",
    "a\\",
    "[:]",
    "]a",
    "abc",
    "\u203f",
    "\u2028",
    "\u20ac",
    "\x1c",
    "\x85",
    "\x00",
    "",
    "A",
    "\u4e2d\u6587",
    "-",
    "^",
    "7",
)
PATTERNS = (
    r"[\w' -]+",
    r"[^\W\d_]+",
    r"[\W]",
    r"[^\w]",
    r"\W+",
    r"\w+",
    r"\d+",
    r"[\D]+",
    r"\D+",
    r"\s",
    r"[\s]",
    r"[^\s]+",
    r"\S+",
    r"[\S]+",
    r"[^\S]",
    "[a-z]{,}",
    "a{,2}b?c?",
    r"a\\{,5}",
    "[{,5}]+",
    r"a\{,5\}",
    r"[A-Za-z\u00C0-\u017F' -]+",
    r"\U0001F600?\u0041",
    r"[A-Z]\Z",
    "\\\u00e9",
    "[[:]+",
    "[[:alpha:]]+",
    "[]a]+",
    "[^]a]+",
    r"[\]a]+",
    r"[^^]+",
    r"[a\-]+",
    r"\x41",
    "(?i)jos\u00e9 .*",
    r"[\[\]:]+",
    r"\.|\w",
)


def matched(engine, pattern: str, text: str) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return engine.fullmatch(pattern, text) is not None


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_translation_matches_the_same_texts(pattern: str) -> None:
    assert [text for text in TEXTS if matched(re2, to_re2(pattern), text)] == [
        text for text in TEXTS if matched(re, pattern, text)
    ]


PIECES = (
    "a",
    "b",
    "\u00e9",
    "-",
    "]",
    "^",
    ",",
    "{,2}",
    "{1}",
    "*",
    "?",
    "|",
    "(a)",
    "(?:b)",
    "[a-b]",
    "[^a]",
    "[]b]",
    r"\w",
    r"\W",
    r"\d",
    r"\D",
    r"\s",
    r"\S",
    r"[\w-]",
    r"[^\W_]",
    r"[\D]",
    r"[^\S]",
    r"\-",
    r"\]",
    r"\u00e9",
)


@given(
    st.lists(st.sampled_from(PIECES), max_size=6).map("".join),
    st.text(
        st.characters(exclude_categories=("Cs", "Cn")) | st.sampled_from("ab \u00e9_1-]^,"),
        max_size=6,
    ),
)
def test_any_translation_matches_as_python_does(pattern: str, text: str) -> None:
    try:
        expected = matched(re, pattern, text)
    except re.error:
        return
    options = re2.Options()
    options.log_errors = False
    try:
        compiled = re2.compile(to_re2(pattern), options)
    except re2.error:
        return
    # The two know the characters of different versions of Unicode.
    known = all(unicodedata.category(one) != "Cn" and ord(one) < 0x3000 for one in text)
    assert not known or (compiled.fullmatch(text) is not None) == expected


def test_the_own_properties_of_re2_stay_as_they_are() -> None:
    assert to_re2(r"\p{L}+[\P{Nd}x]\pN") == r"\p{L}+[\P{Nd}x]\pN"
