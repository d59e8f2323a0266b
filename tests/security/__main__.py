"""Audit of what the hub is made of: `python -m tests.security`, which is `make audit`.

It ends with 1 for a known vulnerability in what `requirements.txt` locks, and for what looks like a
secret in the tree or its history. A database of vulnerabilities that cannot be reached is said, and
is no failure: the next run that reaches it finds the same.
"""

import sys
from datetime import UTC, datetime

import click

from tests.security.allowed import ROOT, Allowed, read
from tests.security.secret_scan import not_allowed, scan
from tests.security.vulnerabilities import audit

MEND = """\
Raise each to a version that mends it: make lock UPGRADE=NAME, then make test.
Where there is none, say in audit.toml why the hub is not affected, and until when that holds."""
REVOKE = """\
Revoke what is real, at whoever issued it, before anything else: it is known to all who have a copy
of the repository. What was made up for a test gets an entry in audit.toml, with the reason."""


def vulnerabilities(allowed: Allowed) -> bool:
    """Print what is known of the packages in `requirements.txt`; return whether that is nothing."""
    today = datetime.now(UTC).date()
    report = audit(ROOT / "requirements.txt", allowed.vulnerabilities, today=today)
    if report.answered is None:
        click.echo(
            "vulnerabilities: NOT CHECKED, no database could be reached; this does not fail."
        )
        click.echo("\n".join(report.unreached))
        return True
    found = len(report.found)
    click.echo(f"vulnerabilities: {found} known in {report.checked} packages ({report.answered})")
    if report.unchecked:
        click.echo(f"NOT CHECKED, unknown there: {', '.join(report.unchecked)}")
    for one in allowed.vulnerabilities:
        state = "let pass until" if today <= one.until else "was let pass until"
        click.echo(f"{one.id} {state} {one.until}: {one.reason}")
    if found:
        click.echo("\n".join([*report.found, MEND]))
    return not found


def secrets(allowed: Allowed) -> bool:
    """Print what looks like a secret, in the tree and its history; return whether it is none."""
    scanned = scan(ROOT)
    lines = not_allowed(scanned.found, allowed.secrets)
    if scanned.unread:
        click.echo(f"the history was NOT CHECKED: {scanned.unread}")
    click.echo(
        f"secrets: {len(lines)} found; {len(allowed.secrets)} texts are let pass by audit.toml"
    )
    if lines:
        click.echo("\n".join([*lines, REVOKE]))
    return not lines


def main() -> int:
    """Run both audits and return the exit code."""
    try:
        allowed = read()
        return 0 if all([vulnerabilities(allowed), secrets(allowed)]) else 1
    except ValueError as error:
        click.echo(f"The audit cannot run: {error}", err=True)
        return 1


if __name__ == "__main__":
    sys.exit(main())
