"""Secrets in the tree and in its history, found by Kingfisher's patterns and five of our own.

It reads the files that git tracks, as they stand, and every commit: what was committed once is
known to all who have a copy, whether it was removed or not. Where git has no repository (an
exported tree, or one of another user), all files are read, and the history is said to be unread.
Nothing is asked of the network: a found key is not tried.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.security.allowed import Secret

RULES = Path(__file__).with_name("secret_rules.yaml")
WITHIN_S = 120
_NOT_OURS = frozenset(".venv .git build var __pycache__ .mypy_cache .ruff_cache".split())
# Kingfisher's: nothing found, and something found.
FINE, FOUND = 0, 200


@dataclass(frozen=True)
class Finding:
    """Text that a rule takes for a secret, and its places: `path:line`, or with a commit's id."""

    text: str
    rule: str
    places: tuple[str, ...]


@dataclass(frozen=True)
class Scan:
    """Findings of a scan; `unread` says why the history was not read, and is empty if it was."""

    found: list[Finding]
    unread: str = ""


def scan(repository: Path) -> Scan:
    """Return what looks like a secret in a git repository: its tracked files and all commits.

    Raises:
        ValueError: the scanner cannot run, or git fails in a repository; the message says why.
    """
    try:
        listed, unread = _output(["git", "-C", str(repository), "ls-files", "-z"]), ""
    except ValueError as error:
        listed, unread = "\0".join(_files(repository)), str(error)
    with tempfile.TemporaryDirectory() as folder:
        tree, history = Path(folder, "tree"), Path(folder, "history.git")
        tree.mkdir()
        for name in filter(None, listed.split("\0")):
            source, copy = repository / name, tree / name
            if source.is_file() and not source.is_symlink():
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, copy)
        # Not a copy of the folder: that has blobs that were staged and never committed.
        clone = ["git", "clone", "--quiet", "--bare", "--no-local", str(repository), str(history)]
        if not unread:
            _output(clone)
        command = [
            *(sys.executable, "-m", "kingfisher", "scan", str(tree)),
            *([] if unread else [str(history)]),
            *("--no-validate", "--no-update-check", "--quiet", "--no-dedup", "--no-ignore"),
            *("--confidence", "low", "--format", "jsonl", "--rules-path", str(RULES)),
        ]
        lines = _output(command, (FINE, FOUND)).splitlines()
        return Scan(_findings(lines, f"{tree}/"), unread)


def not_allowed(found: Iterable[Finding], allowed: Iterable[Secret]) -> list[str]:
    """Return a line for each finding that has no entry, and for each entry without a finding."""
    found, texts = list(found), {one.text for one in allowed}
    lines = [f"{', '.join(one.places)}: {one.rule}" for one in found if one.text not in texts]
    gone = texts - {one.text for one in found}
    # The whole text stands in the file, so that none of it is repeated here.
    return lines + [f"audit.toml: nothing looks like {text[:12]}… any more" for text in gone]


def _files(folder: Path) -> list[str]:
    """Return the files of a folder, but for what was installed, built, or made by a run."""
    found = [one.relative_to(folder) for one in folder.rglob("*") if one.is_file()]
    return [str(one) for one in found if _NOT_OURS.isdisjoint(one.parts[:-1])]


def _findings(lines: Iterable[str], prefix: str) -> list[Finding]:
    rules: dict[str, str] = {}
    places: dict[str, tuple[set[str], set[str]]] = {}
    for line in lines:
        row = json.loads(line)
        if "finding" not in row:
            continue
        found = row["finding"]
        text, path, at = found["snippet"], found["path"], found["line"]
        rules[text] = row["rule"]["name"]
        now, once = places.setdefault(text, (set(), set()))
        if path.startswith(prefix):
            now.add(f"{path.removeprefix(prefix)}:{at}")
        else:
            commit = found.get("git_metadata", {}).get("commit", {}).get("id", "unknown")
            once.add(f"{path}:{at} of commit {commit[:12]}")
    return [
        Finding(text, rules[text], tuple(sorted(now or once)[:5]))
        for text, (now, once) in places.items()
    ]


def _output(command: Sequence[str], fine: Sequence[int] = (FINE,)) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=WITHIN_S)
    except subprocess.TimeoutExpired:
        raise ValueError(f"{' '.join(command[:3])} took more than {WITHIN_S} s") from None
    if done.returncode not in fine:
        said = (done.stderr.strip().splitlines() or ["it says nothing"])[0]
        raise ValueError(f"{' '.join(command[:4])} failed: {said}")
    return done.stdout
