"""Regular expressions of form fields, matched by RE2, and texts for samples that match one.

RE2 (https://github.com/google/re2) matches in a time that is linear in the text, whatever the
pattern. Patterns are written as in Python, and translated (`re2_syntax`); look-around and
back-references are refused, and so are counts above 1000.
"""

import re
from collections.abc import Callable, Iterator
from itertools import chain
from random import Random

from adapters.form.re2_syntax import to_re2

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
# Texts that are made from a pattern before it is given up.
_MADE = 40


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


def matcher(pattern: str) -> Callable[[str], bool]:
    """Return a predicate for texts that the pattern matches from beginning to end.

    Raises:
        BadPattern: RE2 does not compile the pattern.
    """
    # Imported here: it takes 2 MB, in every process, and most forms have no pattern.
    import re2

    options = re2.Options()
    options.log_errors = False
    try:
        compiled = re2.compile(to_re2(pattern), options)
    except UnicodeEncodeError:
        raise BadPattern("not a regular expression: it is not valid Unicode") from None
    except re2.error as error:
        raise BadPattern(_fault(pattern, error.args[0].decode("utf-8", "replace"))) from None
    return lambda text: compiled.fullmatch(text) is not None


def fitting(pattern: str, *, least: int, most: int) -> str | None:
    """Return a matching text of `least` to `most` characters, or None if none is found.

    A few usual texts are tried, then the words of the pattern itself, then runs of characters, and
    at last texts that are made from the pattern, always the same ones.
    """
    matches = matcher(pattern)
    return next(
        (
            text
            for text in chain(
                _USUAL_TEXTS, _WORD.findall(pattern), _runs(least, most), _made(pattern)
            )
            if max(least, 1) <= len(text) <= most and text.strip() and matches(text)
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


def _made(pattern: str) -> Iterator[str]:
    """Yield texts made from a pattern, as far as Python reads it; the caller checks them."""
    # Imported here: only samples need it.
    import rstr

    for seed in range(_MADE):
        try:
            # Not a secret: the same pattern gives the same sample.
            yield rstr.Rstr(Random(seed)).xeger(pattern)  # noqa: S311 - samples
        except (re.error, KeyError, ValueError, IndexError, OverflowError, RecursionError):
            return


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
