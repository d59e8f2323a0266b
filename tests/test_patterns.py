"""Regular expressions of the whole project: none takes long on a long text, whoever typed it."""

import re
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest

from tests.test_house import MODULES, ROOT
from tests.timing import little_work

CHARACTERS = 50_000
# What a stranger repeats to keep a pattern busy; what ends it fits nowhere.
REPEATED = ["a", "1", " ", "a ", "-", "_", "a.", "a@", '"', "\\", "<a ", "[", "{", "a/", "\r\n ",
            "a;", "a=b;", "1,", "+1 ", "1.1", "%41", "https://", "a:", "\u0301"]  # fmt: skip
TEXTS = [f"{(one * CHARACTERS)[:CHARACTERS]}!\n!" for one in REPEATED]
WAYS = {
    "search": lambda pattern, text: pattern.search(text),
    "match": lambda pattern, text: pattern.match(text),
    "fullmatch": lambda pattern, text: pattern.fullmatch(text),
    "sub": lambda pattern, text: pattern.sub(text[:0], text),
    "subn": lambda pattern, text: pattern.subn(text[:0], text),
    "findall": lambda pattern, text: pattern.findall(text),
    "finditer": lambda pattern, text: list(pattern.finditer(text)),
    "split": lambda pattern, text: pattern.split(text),
}
_USE = r"\b{}\.({})\b".format("{}", "|".join(WAYS))


def patterns_of(module: str) -> Iterator[tuple[re.Pattern[Any], list[str]]]:
    """Yield the compiled patterns of a module, each with the ways in which the module uses it."""
    imported = import_module(module)
    source = (ROOT / module.replace(".", "/")).with_suffix(".py").read_text("utf-8")
    for name, value in vars(imported).items():
        if isinstance(value, re.Pattern):
            yield value, sorted(set(re.findall(_USE.replace("{}", re.escape(name)), source)))


def modules() -> list[str]:
    """Return the modules that compile a pattern, by their dotted names."""
    with_patterns = [path for path in MODULES if "re.compile(" in path.read_text("utf-8")]
    return [".".join(path.with_suffix("").parts) for path in with_patterns]


@pytest.mark.parametrize("module", modules())
def test_no_pattern_takes_long_on_a_long_text(module: str) -> None:
    """S47: fifty thousand characters, held against each pattern as its module does."""
    with little_work():
        for pattern, ways in patterns_of(module):
            for text in TEXTS:
                given = text.encode() if isinstance(pattern.pattern, bytes) else text
                for way in ways:
                    WAYS[way](pattern, given)
