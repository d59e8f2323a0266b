"""All findings in their order: what the later ones stand on comes first."""

from collections.abc import Iterator, Mapping

from hub.cli.findings.accounts import check_accounts, check_people, check_visitors
from hub.cli.findings.finding import Finding
from hub.cli.findings.setup import check_environment, check_file
from hub.cli.findings.stores import check_database, check_redis
from hub.settings import Settings


def check_everything(environ: Mapping[str, str]) -> Iterator[Finding]:
    """Yield everything there is to say, as it is found."""
    settings, findings = check_environment(environ)
    yield from findings
    configuration, findings = check_file(environ, settings)
    yield from findings
    if settings is not None:
        yield from check_database(settings)
        yield from check_redis(settings)
    if configuration is not None:
        yield from check_accounts(configuration, allow_private=_allows_private(settings))
        public_url = settings.public_url if settings else None
        yield from check_people(configuration, public_url=public_url)
    if configuration is not None and settings is not None:
        yield from check_visitors(configuration, settings)


def _allows_private(settings: Settings | None) -> bool:
    return settings is not None and settings.allow_private_destinations
