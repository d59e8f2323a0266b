"""Translation of Python's regular expressions into the notation of RE2, where the two differ.

In Python `\\w`, `\\d` and `\\s` are Unicode, in RE2 ASCII: as they stand, a pattern for names would
refuse `José`. Sources: https://docs.python.org/3.11/library/re.html and
https://github.com/google/re2/wiki/Syntax. `\\b` stays as it is: RE2's knows ASCII words alone.
"""

import re

_WORD = r"_\p{L}\p{N}"
_SPACE = r"\t\n\v\f\r\x1c-\x1f\x{85}\p{Z}"
# Complements, for use inside a class, where RE2 takes no negated one. Unassigned code points are in
# none of them. `\p{Pc}` holds `_`, so its other members are named one by one.
_NOT_WORD = (
    r"\x{203f}\x{2040}\x{2054}\x{fe33}\x{fe34}\x{fe4d}-\x{fe4f}\x{ff3f}"
    r"\p{M}\p{S}\p{Z}\p{C}\p{Pd}\p{Ps}\p{Pe}\p{Pi}\p{Pf}\p{Po}"
)
_NOT_SPACE = r"\x00-\x08\x0e-\x1b\x7f-\x{84}\x{86}-\x{9f}\p{Cf}\p{Co}\p{L}\p{M}\p{N}\p{P}\p{S}"
_OUTSIDE = {
    "w": f"[{_WORD}]",
    "W": f"[^{_WORD}]",
    "d": r"\p{Nd}",
    "D": r"\P{Nd}",
    "s": f"[{_SPACE}]",
    "S": f"[^{_SPACE}]",
    "Z": r"\z",
}
_INSIDE = {
    "w": _WORD,
    "W": _NOT_WORD,
    "d": r"\p{Nd}",
    "D": r"\P{Nd}",
    "s": _SPACE,
    "S": _NOT_SPACE,
}
# An escape: a code point, a property of RE2's, or one character.
_ESCAPE = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|([pP](?:\{[^}]*\}|.))|(.))", re.S)
_NO_LEAST = re.compile(r"\{,([0-9]*)\}")


def to_re2(pattern: str) -> str:
    """Return a pattern that matches in RE2 what `pattern` matches in Python, or that RE2 refuses.

    Properties of RE2's own (`\\p{L}`) stay as they are.
    """
    made: list[str] = []
    at, inside = 0, False
    while at < len(pattern):
        escape = _ESCAPE.match(pattern, at)
        if escape:
            made.append(_escaped(escape, inside=inside))
            at = escape.end()
        elif inside:
            # A `[` inside a class is a bracket, and does not begin a POSIX class as in RE2.
            made.append(r"\[" if pattern[at] == "[" else pattern[at])
            inside = pattern[at] != "]"
            at += 1
        elif begin := re.compile(r"\[\^?\]?").match(pattern, at):
            # A `]` that stands first in a class is a bracket.
            made.append(begin[0].replace("]", r"\]"))
            at, inside = begin.end(), True
        elif repetition := _NO_LEAST.match(pattern, at):
            made.append(f"{{0,{repetition[1]}}}")
            at = repetition.end()
        else:
            made.append(pattern[at])
            at += 1
    return "".join(made)


def _escaped(escape: re.Match[str], *, inside: bool) -> str:
    short, long, own, one = escape.groups()
    if short or long:
        return rf"\x{{{short or long}}}"
    if own:
        return escape[0]
    return (_INSIDE if inside else _OUTSIDE).get(one, escape[0] if one.isascii() else one)
