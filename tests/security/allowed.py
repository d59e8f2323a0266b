"""Exceptions of the audit, read from `audit.toml`: each with its reason, some until a day."""

import tomllib
from dataclasses import dataclass, fields
from datetime import date
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
FILE = ROOT / "audit.toml"


@dataclass(frozen=True)
class Vulnerability:
    """Known vulnerability that is let pass up to and including the day `until`."""

    id: str
    reason: str
    until: date


@dataclass(frozen=True)
class Secret:
    """Text that looks like a secret and opens nothing."""

    text: str
    reason: str


@dataclass(frozen=True)
class Allowed:
    """Entries of one file."""

    vulnerabilities: tuple[Vulnerability, ...] = ()
    secrets: tuple[Secret, ...] = ()


def read(path: Path = FILE) -> Allowed:
    """Return the entries of a file.

    Raises:
        ValueError: the file is no TOML, or an entry lacks something or has too much; the message
            names the file and the entry.
    """
    try:
        tables = tomllib.loads(path.read_text("utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path.name}: {error}") from None
    if unknown := set(tables) - {"vulnerability", "secret"}:
        said = f"unknown {', '.join(sorted(unknown))}; there are [[vulnerability]] and [[secret]]"
        raise ValueError(f"{path.name}: {said}")
    return Allowed(
        tuple(_entries(path, tables, "vulnerability", Vulnerability)),
        tuple(_entries(path, tables, "secret", Secret)),
    )


def _entries(path: Path, tables: dict[str, Any], name: str, kind: type[Any]) -> list[Any]:
    made = []
    for number, row in enumerate(tables.get(name, []), 1):
        for field in fields(kind):
            if not row.get(field.name) or not isinstance(row[field.name], field.type):
                says = "a day as 2027-01-31" if field.type is date else "a text in quotes"
                raise ValueError(f"{path.name}: {name} {number} needs `{field.name}`, {says}")
        if unknown := set(row) - {field.name for field in fields(kind)}:
            raise ValueError(f"{path.name}: {name} {number} has an unknown key: {min(unknown)}")
        made.append(kind(**row))
    return made
