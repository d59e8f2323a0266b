"""Known vulnerabilities of what a requirements file locks, found by pip-audit in public databases.

The databases are asked one after the other until one has answered for a package at least; each has
a bounded time. pip-audit by itself calls it a success when an index knows none of the packages (a
mirror without the vulnerability data does that), so its report is read here, and not its exit code.
"""

import json
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from tests.security.allowed import Vulnerability

# As pip-audit names them: OSV has GitHub's advisories too; PyPI has its own.
SERVICES = ("osv", "pypi")
SERVICE_WITHIN_S = 25
ANSWER_WITHIN_S = 10


@dataclass
class Report:
    """Outcome of an audit: what was found (lines for people), and what could not be checked.

    `answered` is the database that answered, None when none did; `unreached` says of each that did
    not what went wrong. `unchecked` are the names of packages that `answered` knows nothing of.
    """

    checked: int = 0
    answered: str | None = None
    found: list[str] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)
    unreached: list[str] = field(default_factory=list)


def audit(
    requirements: Path,
    allowed: Iterable[Vulnerability] = (),
    *,
    today: date,
    osv_url: str | None = None,
    within_s: float = SERVICE_WITHIN_S,
) -> Report:
    """Return what is known of the packages of a locked requirements file.

    `osv_url` is another address of OSV's query API; `within_s` bounds each database.

    Raises:
        ValueError: pip-audit cannot read the file, or cannot run; the message has its last line.
    """
    command = [
        *(sys.executable, "-m", "pip_audit", "--requirement", str(requirements)),
        *("--require-hashes", "--disable-pip", "--progress-spinner", "off", "--format", "json"),
        *("--timeout", str(ANSWER_WITHIN_S)),
    ]
    dry = _run([*command, "--dry-run"], within_s)
    if isinstance(dry, str):
        raise ValueError(f"pip-audit cannot audit {requirements.name}: {dry}")
    for one in allowed:
        if today <= one.until:
            command += ["--ignore-vuln", one.id]
    if osv_url is not None:
        command += ["--osv-url", osv_url]
    report = Report()
    for service in SERVICES:
        rows = _run([*command, "--vulnerability-service", service], within_s)
        if isinstance(rows, str):
            report.unreached.append(f"{service}: {rows}")
            continue
        skipped = [row["name"] for row in rows if "skip_reason" in row]
        if len(skipped) == len(rows):
            report.unreached.append(f"{service}: knows none of the packages (a mirror?)")
            continue
        report.answered, report.unchecked = service, skipped
        report.checked = len(rows) - len(skipped)
        report.found = [line for row in rows for line in _lines(row)]
        break
    return report


def _run(command: Sequence[str], within_s: float) -> list[dict[str, Any]] | str:
    """Return pip-audit's rows, one for each package, or why there are none."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=within_s)
    except subprocess.TimeoutExpired:
        return f"no answer within {within_s:g} s"
    try:
        rows: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except ValueError:
        return (done.stderr.strip().splitlines() or ["it says nothing"])[-1][:300]
    return rows


def _lines(row: dict[str, Any]) -> list[str]:
    lines = []
    for one in row.get("vulns", []):
        names = ", ".join([one["id"], *one.get("aliases", [])])
        mended = " or ".join(one["fix_versions"])
        advice = f"mended in {mended}" if mended else "mended in no version yet"
        lines.append(f"{row['name']} {row['version']}: {names}; {advice}")
    return lines
