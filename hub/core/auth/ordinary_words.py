"""Ordinary words: the words of codes and of field names, and how like a word letters look.

The words of providers' field names, types and states (`ordinary_words.txt`), without given names
and with few family names. Those few are codes still, and no part of an id.
"""

import re
from collections import Counter
from collections.abc import Container, Mapping
from functools import lru_cache
from itertools import pairwise
from math import log2
from pathlib import Path

ORDINARY_WORDS = frozenset(
    Path(__file__).with_name("ordinary_words.txt").read_text("ascii").split()
)
# Those of them, and of the words of sentences, that are common family names.
FAMILY_NAMES = frozenset(
    "block born branch brand button call card case cash close coe daily day days early fields gold "
    "good head hold holder hook hooks host job key keys large lock low master may merchant ng page "
    "pages parent pay place post price prior reader round self seller slack south stage "
    "street style town tree won".split()
)
# Fewer digits than a telephone number has, in all numbers of a code or a sentence together.
MOST_DIGITS = 6

_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[0-9]+|[^\W_]")
_LETTERS = re.compile(r"[a-z]+", re.ASCII)
_ALPHABET = 26


@lru_cache(maxsize=16384)
def words_of(text: str) -> tuple[str, ...]:
    """Return the words and numbers of an identifier, in lower case: `FromCity` has two."""
    return tuple(word.lower() for word in _WORDS.findall(text))


def is_worded(text: str, own: Container[str], *, names: bool = True) -> bool:
    """Return whether a text consists of ordinary words, and of a few short numbers.

    `own`: words that count as ordinary beside the known ones. `names`: so do family names.
    """
    words = words_of(text)
    if sum(len(word) for word in words if word.isdigit()) > MOST_DIGITS:
        return False
    return any(word.isalpha() for word in words) and all(
        len(word) <= 3 if word.isdigit() else word in own or _is_ordinary(word, names)
        for word in words
    )


def likeness(text: str) -> float:
    """Return by how many bits the pairs of letters rather stand in words than come by chance.

    The logarithm of a ratio of likelihoods: above 0 for most words and names of any language, far
    below 0 for long random ones.
    """
    runs = _LETTERS.findall(text.lower())
    return sum(_PAIRS[first + second] for run in runs for first, second in pairwise(run))


def _is_ordinary(word: str, names: bool) -> bool:
    return word in ORDINARY_WORDS and (names or word not in FAMILY_NAMES)


def _weighed() -> Mapping[str, float]:
    """Return the weight of each pair of letters: how much likelier it is in a word, in bits."""
    found = Counter(a + b for word in ORDINARY_WORDS for a, b in pairwise(word))
    firsts = Counter(pair[0] for pair in found.elements())
    letters = [chr(ord("a") + n) for n in range(_ALPHABET)]
    # Half a time each, for those that were never seen.
    return {
        a + b: log2((found[a + b] + 0.5) / (firsts[a] + _ALPHABET / 2) * _ALPHABET)
        for a in letters
        for b in letters
    }


_PAIRS = _weighed()
