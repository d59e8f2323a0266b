"""`hub check`: the file, the stores and the accounts; says what to mend; exits 1 for a fault."""

import os
import sys

import click
import orjson

from hub.cli.findings.everything import check_everything
from hub.cli.findings.finding import FAULT, Finding


@click.command()
@click.option("--json", "as_json", is_flag=True, help="An array of {level, subject, message}.")
def check(as_json: bool) -> None:
    """Check settings, hub.yaml, stores and accounts, and say what to mend."""
    found = []
    for finding in check_everything(os.environ):
        found.append(finding)
        if not as_json:
            click.echo(line(finding))
    if as_json:
        click.echo(orjson.dumps(found).decode())
    sys.exit(any(finding.level == FAULT for finding in found))


def line(finding: Finding) -> str:
    """Return a finding as a person reads it."""
    return f"{finding.level:<5}  {finding.subject:<20}  {finding.message}"
