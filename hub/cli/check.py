"""Command `hub check`: checks settings, hub.yaml, stores and accounts. A fault makes it exit 1.

Findings are printed in dependency order: prerequisites of later checks come first.
"""

import os
import sys
from collections.abc import Iterator, Mapping

import click
import orjson

from hub.bootstrap import create_disk_watch
from hub.cli.checks import FAULT, Finding
from hub.cli.checks.accounts import check_accounts, check_people, check_visitors
from hub.cli.checks.configuration import check_environment, check_file
from hub.cli.checks.stores import (
    check_budgets,
    check_database,
    check_disk,
    check_redis,
    find_hub_id,
)
from hub.settings import Settings


def check_everything(environ: Mapping[str, str]) -> Iterator[Finding]:
    """Yield all findings as soon as they are known."""
    settings, findings = check_environment(environ)
    yield from findings
    configuration, findings = check_file(environ, settings)
    yield from findings
    if settings is not None:
        yield from check_database(settings)
        yield from check_redis(settings, find_hub_id(settings))
        yield from check_disk(create_disk_watch(settings))
    if configuration is not None:
        yield from check_accounts(configuration, allow_private=_allows_private(settings))
        public_url = settings.public_url if settings else None
        yield from check_people(configuration, public_url=public_url)
    if configuration is not None and settings is not None:
        yield from check_visitors(configuration, settings)
        yield from check_budgets(settings, configuration)


def _allows_private(settings: Settings | None) -> bool:
    return settings is not None and settings.allow_private_destinations


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
    """Return a finding as a line of text: level, subject and message in columns."""
    return f"{finding.level:<5}  {finding.subject:<20}  {finding.message}"
