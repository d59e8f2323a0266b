"""`docs/security.md`: every point and chapter is there, and each names tests that exist."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text("utf-8")
POINTS = [f"S{number}" for number in range(1, 49)]
CHAPTERS = [f"V{number}" for number in range(1, 18)]
TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


@cache
def names_in(path: str) -> frozenset[str]:
    """Return the names of the tests in a module, given from the top; none where there is none."""
    file = ROOT / path
    if not file.exists():
        return frozenset()
    nodes = ast.walk(ast.parse(file.read_text("utf-8")))
    functions = (node for node in nodes if isinstance(node, ast.FunctionDef))
    return frozenset(node.name for node in functions if node.name.startswith("test_"))


def missing(text: str) -> Iterator[str]:
    """Yield the tests that a text names and that are not in the tree."""
    for path, name in TEST.findall(text):
        if name not in names_in(path):
            yield f"{path}::{name}"


def rows(text: str, name: str) -> list[str]:
    return re.findall(rf"^\| {name} \|.*$", text, re.MULTILINE)


def chapter(text: str, name: str) -> str:
    """Return what a page says of a chapter, empty where it has none."""
    found = re.search(rf"^### {name} .*?(?=^##|\Z)", text, re.MULTILINE | re.DOTALL)
    return found[0] if found else ""


def test_every_test_that_the_page_names_exists() -> None:
    assert list(missing(PAGE)) == []
    assert PAGE.count("`tests/") == len(TEST.findall(PAGE))


@pytest.mark.parametrize("name", POINTS)
def test_every_point_has_one_row_with_a_test(name: str) -> None:
    [row] = rows(PAGE, name)
    assert TEST.search(row)


@pytest.mark.parametrize("name", CHAPTERS)
def test_every_chapter_is_shown_by_tests_or_does_not_apply(name: str) -> None:
    text = chapter(PAGE, name)
    assert TEST.search(text) or "Does not apply:" in text
    cells = re.findall(r"^\| ((?:V[\d.]+ ?)+) \|.*$", text, re.MULTILINE)
    assert all(one.startswith(f"{name}.") for cell in cells for one in cell.split())
    assert len(cells) == len([row for row in text.splitlines() if TEST.search(row)])


def test_a_test_that_is_gone_and_a_point_without_one_are_noticed() -> None:
    here = "tests/docs/test_security_page.py"
    assert list(missing(f"`{here}::test_that_was_renamed`")) == [f"{here}::test_that_was_renamed"]
    assert list(missing("`tests/docs/gone.py::test_a`")) == ["tests/docs/gone.py::test_a"]
    assert list(missing(f"`{here}::test_every_point_has_one_row_with_a_test`")) == []
    assert rows("| S1 | verified | |", "S48") == []
    assert (
        chapter("### V1 Encoding\n\ntext\n\n### V2 Logic\n", "V1") == "### V1 Encoding\n\ntext\n\n"
    )
