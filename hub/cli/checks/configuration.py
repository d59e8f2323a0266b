"""Checks of environment variables and `hub.yaml`, with the same errors as at start-up."""

from collections.abc import Mapping
from pathlib import Path

from hub.cli.checks import FAULT, NOTE, OK, Finding
from hub.config import load_config
from hub.core.configuration import Configuration
from hub.core.errors import ConfigError
from hub.core.retention.words import policy_words
from hub.gateways.database.sqlite import file_of
from hub.gateways.file_owners import find_foreign, foreign_sentence
from hub.gateways.private_files import find_open, open_sentence
from hub.settings import TRUE, Settings, load_settings

SHORTEST_KEY = 16
GUESSABLE = (
    f"SECRET_KEY is shorter than {SHORTEST_KEY} characters and can be guessed; with it "
    "everybody can be signed in: make it 32 random characters"
)
UNMEASURED = "METRICS_TOKEN is not set: /metrics is 404 at a public hub"
UNSIGNED = (
    "SECRET_KEY is not set: every machine makes its own, so that on another one people are signed "
    "out, second factors cannot be read and a form's tokens are not known; where there are several "
    "machines set it to the same 32 random characters"
)


def check_environment(environ: Mapping[str, str]) -> tuple[Settings | None, list[Finding]]:
    """Return the settings with their findings; None with one finding for each error."""
    try:
        settings = load_settings(environ)
    except ConfigError as error:
        return None, [Finding(FAULT, "environment", fault) for fault in error.faults]
    public = settings.public_url or "not public: HUB_PUBLIC_URL is not set"
    findings = [Finding(OK, "environment", public)]
    kept = settings.var_dir, file_of(settings.database_url)
    if found := find_open(*kept):
        findings.append(Finding(NOTE, "environment", open_sentence(found)))
    if found := find_foreign(*kept):
        findings.append(Finding(FAULT, "environment", foreign_sentence(found)))
    if settings.public_url and settings.metrics_token is None:
        findings.append(Finding(NOTE, "environment", UNMEASURED))
    if settings.metrics_token is not None and len(settings.metrics_token) < SHORTEST_KEY:
        sentence = f"METRICS_TOKEN is shorter than {SHORTEST_KEY} characters and can be guessed"
        findings.append(Finding(NOTE, "environment", sentence))
    if settings.public_url and settings.secret_key is None:
        findings.append(Finding(NOTE, "environment", UNSIGNED))
    if settings.secret_key is not None and len(settings.secret_key) < SHORTEST_KEY:
        findings.append(Finding(FAULT, "environment", GUESSABLE))
    return settings, findings


def check_file(
    environ: Mapping[str, str], settings: Settings | None
) -> tuple[Configuration | None, list[Finding]]:
    """Return the configuration with a finding; None with one finding for each error."""
    fallback = Path(environ.get("HUB_CONFIG", "").strip() or "hub.yaml")
    path = settings.config_path if settings else fallback
    try:
        configuration = load_config(
            path,
            environ,
            published_secrets_allowed=settings is None or settings.public_url is None,
            allow_private=_private_by_start_up(settings, environ),
        )
    except ConfigError as error:
        return None, [Finding(FAULT, path.name, fault) for fault in error.faults]
    counts = (
        f"version {configuration.version}: sources {len(configuration.sources)}, "
        f"destinations {len(configuration.destinations)}, routes {len(configuration.routes)}"
    )
    kept = Finding(OK, "retention", policy_words(configuration.retention))
    return configuration, [Finding(OK, path.name, counts), kept]


def _private_by_start_up(settings: Settings | None, environ: Mapping[str, str]) -> bool:
    """Return the value of HUB_ALLOW_PRIVATE_DESTINATIONS, even if another variable is wrong."""
    if settings is not None:
        return settings.allow_private_destinations
    return environ.get("HUB_ALLOW_PRIVATE_DESTINATIONS", "").strip().lower() in TRUE
