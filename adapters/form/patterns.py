"""Regular expressions of form fields, matched by RE2, and texts for samples that match one.

RE2 (https://github.com/google/re2/wiki/Syntax) matches in a time that is linear in the text,
whatever the pattern. It has neither look-around nor back-references, and `\\d`, `\\w` and `\\s` are
ASCII.
"""

import re
from collections.abc import Callable, Iterator
from itertools import chain

import re2

MOST_CHARACTERS = 300
# Maximum length of a text that is matched against a pattern, in characters.
MOST_READ = 1000

# Texts that usual patterns match, tried in this order.
_USUAL = """
    A sample|Sample|sample|SAMPLE|Jane Doe|ABC|ABC123|AB1234|AB-1234|ABC-123|A1|A-1|a1|1234-56
    12-345|123-45|123-45-6789|12345|12345-6789|1|12.50|1.5|50%|#00ff00|00ff00|SW1A 1AA|K1A 0B1
    2026-11-20|20.11.2026|11/20/2026|20/11/2026|12:00|+12025550123|+1 202 555 0123|(202) 555-0123
    202-555-0123|555-0123|DE123456789|GB123456789|jane.doe@example.com|example.com|https://example.com/
"""
_USUAL_TEXTS = tuple(text.strip() for text in re.split(r"[|\n]", _USUAL) if text.strip())
_RUNS = ("1234567890", "abcdefghij", "ABCDEFGHIJ", "a sample ")
_LONGEST_RUN = 50
_WORD = re.compile(r"[^\W_]+(?:[ -][^\W_]+)*")

_LOOKS = re.compile(r"\(\?<?[=!]|\(\?\(|\(\?P$|\\[0-9]")
# Python reads this as a repetition, RE2 as it stands.
_NO_LEAST = re.compile(r"(?<!\\)\{,[0-9]+\}")


class BadPattern(ValueError):
    """Unusable pattern. The message is a sentence for whoever wrote it."""


def check_pattern(pattern: str, longest: int) -> None:
    """Require a pattern that can be used for texts of up to `longest` characters.

    Raises:
        BadPattern: the pattern or the text is too long, or RE2 does not compile the pattern.
    """
    if len(pattern) > MOST_CHARACTERS:
        raise BadPattern(f"a pattern has at most {MOST_CHARACTERS} characters")
    if longest > MOST_READ:
        raise BadPattern(f"a field with a pattern needs a `max` of at most {MOST_READ}")
    matcher(pattern)
    if _NO_LEAST.search(pattern):
        raise BadPattern("a repetition needs its least number: write {0,5}, not {,5}")


def matcher(pattern: str) -> Callable[[str], bool]:
    """Return a predicate for texts that the pattern matches from beginning to end.

    Raises:
        BadPattern: RE2 does not compile the pattern.
    """
    options = re2.Options()
    options.log_errors = False
    try:
        compiled = re2.compile(pattern, options)
    except UnicodeEncodeError:
        raise BadPattern("not a regular expression: it is not valid Unicode") from None
    except re2.error as error:
        raise BadPattern(_fault(pattern, error.args[0].decode("utf-8", "replace"))) from None
    return lambda text: compiled.fullmatch(text) is not None


def fitting(pattern: str, *, least: int, most: int) -> str | None:
    """Return a matching text of `least` to `most` characters, or None if none is found.

    A few usual texts are tried, then the words of the pattern itself, then runs of characters.
    """
    matches = matcher(pattern)
    return next(
        (
            text
            for text in chain(_USUAL_TEXTS, _WORD.findall(pattern), _runs(least, most))
            if max(least, 1) <= len(text) <= most and matches(text)
        ),
        None,
    )


def _runs(least: int, most: int) -> Iterator[str]:
    """Yield digits, letters and words of each length, the shortest first."""
    for length in range(max(least, 1), min(most, max(least, _LONGEST_RUN)) + 1):
        for run in _RUNS:
            text = (run * (length // len(run) + 1))[:length]
            if text == text.strip():
                yield text


def _fault(pattern: str, said: str) -> str:
    if _LOOKS.search(said):
        return "looks around or back: only plain repetitions and alternatives are taken"
    if "too large" in said:
        return "is too large: repeat less"
    try:
        # Its message says where.
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        return f"not a regular expression: {error}"
    return f"not a regular expression that RE2 takes: {said}"
