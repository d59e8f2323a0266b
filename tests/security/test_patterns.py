"""Regular expressions of the product take no more than a moment, whatever they are held against.

Each is tried with the methods that its module calls, on long texts of one repeated piece that
cannot match at their end: those make a pattern with two ways to read a text try all of them.
"""

import ast
import importlib
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.cases import try_each
from tests.timing import little_work

ROOT = Path(__file__).parents[2]
CHARACTERS = 50_000
# A pattern that looks back over the whole text from each place takes ten times as long.
MOST_CPU_S = 1.0
PIECES = (
    *"a1 -_.,:;/@=?<\"'({[+*%&#\\\n\t\0éA\ud800",
    *("a ", "1 ", "1.", "a.", "a@", "a-", " \n", "a, ", "{{", "=?", '="', "ab1 ", "www.", "\r\n "),
    *("<a ", "a;", "a=b;", "1.1", "+1 ", "%41", "https://", "\u0301"),
)
METHODS = {"match", "fullmatch", "search", "sub", "subn", "findall", "finditer", "split"}


def calls(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the name of each pattern that a module calls with the method: `_EMAIL`, `search`."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        match node:
            case ast.Attribute(value=ast.Name(id=name), attr=method) if method in METHODS:
                yield name, method


def patterns() -> Iterator[tuple[str, re.Pattern, str]]:
    """Yield each compiled pattern at the top of a module, its place, and a method used of it.

    One that its module hands to a validator is matched from the beginning, as validators do.
    """
    for top in ("hub", "adapters"):
        for path in sorted((ROOT / top).rglob("*.py")):
            if "re.compile" not in path.read_text("utf-8"):
                continue
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            module = vars(importlib.import_module(name))
            used = set(calls(path))
            for key, value in module.items():
                if isinstance(value, re.Pattern):
                    for method in sorted({how for of, how in used if of == key} or {"match"}):
                        yield f"{name}.{key}.{method}", value, method
                elif isinstance(value, tuple):
                    # Sentences with their patterns, which are searched one after the other.
                    rows = [row[0] for row in value if isinstance(row, tuple) and row]
                    for number, one in enumerate(rows):
                        if isinstance(one, re.Pattern):
                            yield f"{name}.{key}[{number}]", one, "search"


def test_the_patterns_of_the_product_are_met() -> None:
    names = {name for name, _, _ in patterns()}
    assert len(names) > 120
    assert "adapters.form.text_fields._EMAIL.fullmatch" in names


def work(pattern: re.Pattern, method: str, text: str) -> None:
    """Let a pattern do what its module has it do, to the end of a text."""
    said = text.encode("utf-8", "surrogatepass") if isinstance(pattern.pattern, bytes) else text
    if method in ("sub", "subn"):
        pattern.sub(type(said)(), said)
    else:
        found = getattr(pattern, method)(said)
        if method == "finditer":
            list(found)


def test_no_text_keeps_a_pattern_busy() -> None:
    try_each({name: partial(hold, pattern, method) for name, pattern, method in patterns()})


def hold(pattern: re.Pattern, method: str) -> None:
    """Hold the pattern against long texts of each piece."""
    for piece in PIECES:
        text = (piece * CHARACTERS)[:CHARACTERS]
        with little_work(MOST_CPU_S):
            work(pattern, method, text + "!")


def test_a_pattern_that_goes_back_again_and_again_is_noticed() -> None:
    with pytest.raises(AssertionError, match="of CPU"), little_work(MOST_CPU_S):
        work(re.compile(r"\s+$"), "search", " " * (CHARACTERS // 2) + "!")
