"""What `hub check` finds: the environment, the file, the stores, the accounts, one line each.

Every function returns its findings; nothing here prints, changes anything or raises for what is
wrong. No finding holds a secret.
"""

import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import redis
from sqlalchemy import Connection, make_url
from sqlalchemy.exc import SQLAlchemyError

from adapters import registry
from hub.config import PUBLISHED_SECRETS, load_config
from hub.config.owners import asks_for_link
from hub.core.configuration import Configuration, Destination, Source
from hub.core.errors import ConfigError
from hub.core.leads import duty
from hub.gateways.database import open_database
from hub.gateways.destinations import probe
from hub.gateways.revisions import revisions
from hub.settings import TRUE, Settings, load_settings

OK, NOTE, FAULT = "ok", "note", "fault"

OLDEST_POSTGRESQL = 14
OLDEST_SQLITE = (3, 35)
OLDEST_REDIS = (6, 2)
STORE_TIMEOUT_S = 3
UNSIGNED = (
    "SECRET_KEY is not set: every machine makes its own, so that on another one people are signed "
    "out, second factors cannot be read and a form's tokens are not known; where there are several "
    "machines set it to the same 32 random characters"
)


@dataclass(frozen=True, slots=True)
class Finding:
    """`level` is ok, note (worth knowing) or fault (to be mended before the hub is relied on)."""

    level: str
    subject: str
    message: str


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


def check_environment(environ: Mapping[str, str]) -> tuple[Settings | None, list[Finding]]:
    """Return the settings, or None and their faults as start-up would tell them."""
    try:
        settings = load_settings(environ)
    except ConfigError as error:
        return None, [Finding(FAULT, "environment", fault) for fault in error.faults]
    public = settings.public_url or "not public: HUB_PUBLIC_URL is not set"
    findings = [Finding(OK, "environment", public)]
    if settings.public_url and settings.secret_key is None:
        findings.append(Finding(NOTE, "environment", UNSIGNED))
    return settings, findings


def check_file(
    environ: Mapping[str, str], settings: Settings | None
) -> tuple[Configuration | None, list[Finding]]:
    """Return what the file says, or None and its faults as start-up would tell them."""
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
    return configuration, [Finding(OK, path.name, counts)]


def _private_by_start_up(settings: Settings | None, environ: Mapping[str, str]) -> bool:
    """Return what start-up would go by, also while another variable is wrong."""
    if settings is not None:
        return settings.allow_private_destinations
    return environ.get("HUB_ALLOW_PRIVATE_DESTINATIONS", "").strip().lower() in TRUE


def check_database(settings: Settings) -> list[Finding]:
    """Return whether the database answers, is new enough and has today's schema."""
    url = make_url(settings.database_url)
    is_file = url.get_backend_name() == "sqlite" and not str(url.database).startswith("file:")
    if is_file and not Path(str(url.database)).exists():
        return [Finding(NOTE, "database", "no file yet: `hub up` or `hub db upgrade` makes it")]
    database = open_database(settings.database_url, pool_size=1)
    try:
        with database.engine.connect() as connection:
            return [_database_version(connection), _database_schema(connection)]
    except SQLAlchemyError as error:
        reason = _reason(getattr(error, "orig", None) or error, url.password)
        return [Finding(FAULT, "database", f"cannot be reached: {reason}")]
    finally:
        database.engine.dispose()


def _database_version(connection: Connection) -> Finding:
    if connection.dialect.name == "sqlite":
        good = sqlite3.sqlite_version_info >= OLDEST_SQLITE
        version, needed = f"SQLite {sqlite3.sqlite_version}", "SQLite 3.35"
    else:
        found = connection.dialect.server_version_info or (0,)
        good = int(found[0]) >= OLDEST_POSTGRESQL
        version = f"PostgreSQL {'.'.join(map(str, found))}"
        needed = f"PostgreSQL {OLDEST_POSTGRESQL}"
    if good:
        return Finding(OK, "database", version)
    return Finding(FAULT, "database", f"{version} is too old: {needed} or newer is needed")


def _database_schema(connection: Connection) -> Finding:
    current, newest = revisions(connection)
    if current == newest:
        return Finding(OK, "database", f"migrated to {current}")
    found = "not migrated" if current is None else f"migrated to {current}, newest is {newest}"
    return Finding(FAULT, "database", f"{found}: run `hub db upgrade`")


def check_redis(settings: Settings) -> list[Finding]:
    """Return whether Redis answers, is new enough and forgets no wake-up."""
    socket = settings.var_dir / "redis.sock"
    if settings.redis_embedded and not socket.exists():
        return [Finding(NOTE, "redis", "embedded: it starts with `hub up`")]
    try:
        client = redis.Redis.from_url(
            settings.redis_url,
            socket_timeout=STORE_TIMEOUT_S,
            socket_connect_timeout=STORE_TIMEOUT_S,
        )
        with client:
            info: dict[str, Any] = client.info()
    except (redis.RedisError, OSError, ValueError) as error:
        password = urlsplit(settings.redis_url).password
        return [Finding(FAULT, "redis", f"cannot be reached: {_reason(error, password)}")]
    return judge_redis(info)


def judge_redis(info: Mapping[str, Any]) -> list[Finding]:
    """Return what the answer to INFO says about a server."""
    version = str(info.get("redis_version", "0"))
    parts = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if parts >= OLDEST_REDIS:
        findings = [Finding(OK, "redis", f"version {version}")]
    else:
        sentence = f"version {version} is too old: 6.2 or newer is needed"
        findings = [Finding(FAULT, "redis", sentence)]
    policy = info.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        sentence = (
            f"maxmemory-policy is {policy}, which drops wake-ups when memory is short: run "
            "`redis-cli CONFIG SET maxmemory-policy noeviction` and put it in redis.conf"
        )
        findings.append(Finding(FAULT, "redis", sentence))
    persistence = "on" if info.get("aof_enabled") else "off; wake-ups lost with it are made anew"
    findings.append(Finding(NOTE, "redis", f"append-only file is {persistence}"))
    return findings


def check_accounts(configuration: Configuration, *, allow_private: bool) -> Iterator[Finding]:
    """Yield what there is to say about each source, destination and route."""
    for source in configuration.sources.values():
        yield _source(source)
        if note := _account(source, configuration):
            yield note
    for destination in configuration.destinations.values():
        yield check_destination(destination, allow_private=allow_private)
    for route in configuration.routes.values():
        destination = configuration.destinations[route.destination]
        if route.enabled and not destination.enabled:
            sentence = f"its destination `{destination.slug}` is switched off"
            yield Finding(NOTE, f"route {route.name}", sentence)


def _source(source: Source) -> Finding:
    subject = f"source {source.slug}"
    if not source.enabled:
        return Finding(NOTE, subject, f"{source.adapter}: switched off")
    secrets = list(_secrets(source))
    if PUBLISHED_SECRETS.keys() & set(map(str, secrets)):
        sentence = "its secret is printed in hub.example.yaml: good on this machine alone"
        return Finding(NOTE, subject, f"{source.adapter}: {sentence}")
    if not secrets:
        return Finding(OK, subject, f"{source.adapter}: open to everybody, as forms are")
    count = "1 secret or key" if len(secrets) == 1 else f"{len(secrets)} secrets and keys"
    return Finding(OK, subject, f"{source.adapter}: {count}")


def _account(source: Source, configuration: Configuration) -> Finding | None:
    """Return a note when an account would do and none is named: then nobody fetches."""
    wanted = registry.inbound(source.adapter).account
    fitting = [
        one.slug
        for one in configuration.destinations.values()
        if one.enabled and one.adapter == wanted
    ]
    if not source.enabled or source.account is not None or not fitting:
        return None
    sentence = f"`account` does not name one of {', '.join(fitting)}: nothing is fetched for it"
    return Finding(NOTE, f"source {source.slug}", sentence)


def _secrets(source: Source) -> Iterator[str]:
    """Yield what its senders are known by, and what samples are signed with."""
    for key in (*registry.inbound(source.adapter).secret_keys, "public_keys"):
        given = source.settings.get(key) or ()
        if isinstance(given, str):
            yield given
        else:
            yield from map(str, given.values() if isinstance(given, Mapping) else given)


def check_destination(destination: Destination, *, allow_private: bool) -> Finding:
    """Return what one cheap read call tells about an account; the sandbox calls nobody."""
    subject = f"destination {destination.slug}"
    if not destination.enabled:
        return Finding(NOTE, subject, f"{destination.adapter}: switched off")
    found = probe(destination, allow_private=allow_private)
    level = NOTE if destination.sandbox else OK if found.ok else FAULT
    return Finding(level, subject, f"{destination.adapter}: {found.message}")


def check_visitors(configuration: Configuration, settings: Settings) -> list[Finding]:
    """Return a note when a public form may not tell its visitors from one another."""
    forms = [
        one.slug
        for one in configuration.sources.values()
        if one.enabled and registry.inbound(one.adapter).takes_forms
    ]
    if not forms or settings.public_url is None or settings.proxy_hops:
        return []
    sentence = (
        "HUB_PROXY_HOPS is 0: behind a proxy on this machine or network nobody's address is known, "
        "and forms have no limits per address; set it to the number of proxies in front of the hub"
    )
    return [Finding(NOTE, f"source {forms[0]}" if len(forms) == 1 else "forms", sentence)]


def check_people(configuration: Configuration, *, public_url: str | None) -> Iterator[Finding]:
    """Yield whom each list finds, when it has to fall back, and links that cannot be made."""
    gaps = dict(duty.gaps(configuration))
    for name, rules in configuration.assign.items():
        count = "1 rule" if len(rules) == 1 else f"{len(rules)} rules"
        found = f"{count}: every lead finds somebody, at last {', '.join(rules[-1].to)}"
        yield Finding(OK, f"assign {name}", found)
        if gap := gaps.get(name):
            sentence = f"at {gap} nobody is on duty, the first such time of a week: the last rule "
            yield Finding(NOTE, f"assign {name}", f"{sentence}names {', '.join(rules[-1].to)}")
    for route in configuration.routes.values() if public_url is None else ():
        if asks_for_link(route):
            sentence = "uses owner.link, which needs HUB_PUBLIC_URL"
            yield Finding(NOTE, f"route {route.name}", sentence)


def _allows_private(settings: Settings | None) -> bool:
    return settings is not None and settings.allow_private_destinations


def _reason(error: BaseException, password: object) -> str:
    """Return the first line of an error; drivers put addresses in it, never mind a password."""
    line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return line.replace(str(password), "…") if password else line
