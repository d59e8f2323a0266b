"""Refusals of the hub are shown whole to users who may not see personal data."""

import ast
import importlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import hub
from hub.core.auth.redaction import MASK, Redactor
from hub.core.errors import HubError
from tests.cases import try_each

ROOT = Path(hub.__file__).parent
FOLDERS = ("core", "web/dashboard")
# What a refusal only names as an example, and what is no word but code.
NOT_WORDS = ("@", "{", "}", "+ 0-9", "KiB", "|", "**", "database's")


def refusals() -> Iterator[tuple[str, str]]:
    """Yield the constant texts of what is raised as a refusal, each with its place."""
    for path in sorted(one for folder in FOLDERS for one in (ROOT / folder).rglob("*.py")):
        names = (path.relative_to(ROOT.parent).with_suffix("")).parts
        module = vars(importlib.import_module(".".join(names).removesuffix(".__init__")))
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args):
                continue
            raised, said = module.get(node.func.id), node.args[0]
            if not (isinstance(raised, type) and issubclass(raised, HubError)):
                continue
            text = module.get(said.id) if isinstance(said, ast.Name) else None
            constants = [one for one in ast.walk(said) if isinstance(one, ast.Constant)]
            for part in [text, *(one.value for one in constants)]:
                if isinstance(part, str) and not any(one in part for one in NOT_WORDS):
                    yield f"{path.name}:{node.lineno}", part


def test_a_refusal_is_shown_whole() -> None:
    found = list(refusals())
    assert len(found) > 60
    assert any("nobody gives rights" in text for _, text in found)
    try_each({f"{place}: {text}": partial(shown_whole, text) for place, text in found})


def shown_whole(text: str) -> None:
    assert MASK not in Redactor().sentence(text)
