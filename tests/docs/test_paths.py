"""Paths that the documentation names exist, and so do the modules that it names with dots."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
PATH = re.compile(r"`((?:hub|adapters|tests|migrations|docs|deploy)/[\w./-]*)`")
MODULE = re.compile(r"`((?:hub|adapters|tests)(?:\.[a-z_0-9]+)+)`")
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")
# The job's name in Redis, and files beside the package: neither is a module.
NAMES = {"hub.jobs.drain.drain", "hub.yaml", "hub.example.yaml", "hub.cdx.json"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_names_is_there(page: Path) -> None:
    text = page.read_text("utf-8")
    paths = [one for one in PATH.findall(text) if "acme" not in one]  # the example to be made
    missing = [one for one in paths if not (ROOT / one).exists()]
    missing += [one for one in LINK.findall(text) if not (page.parent / one).exists()]
    for name in set(MODULE.findall(text)) - NAMES:
        path = ROOT / name.replace(".", "/")
        parent = path.parent.with_suffix(".py")  # `hub.core.ids.new_id` is a name in a module
        if not (path.is_dir() or path.with_suffix(".py").exists() or parent.exists()):
            missing.append(name)
    assert not missing


def test_a_path_that_is_missing_is_noticed() -> None:
    assert PATH.findall("see `hub/nowhere.py` and `hub/core/`") == ["hub/nowhere.py", "hub/core/"]
    assert MODULE.findall("see `hub.nowhere.at_all`") == ["hub.nowhere.at_all"]
    assert LINK.findall("[a](b.md#c) [d](https://e)") == ["b.md"]
