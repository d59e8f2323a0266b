"""Checks of the database and Redis: reachability, version, schema, identity and durability."""

import sqlite3
from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import redis
from sqlalchemy import URL, Connection, make_url, text
from sqlalchemy.exc import SQLAlchemyError

from hub.cli.checks import FAULT, NOTE, OK, Finding
from hub.core.configuration import Configuration
from hub.core.identity import moved, moved_sentence, other_hubs, read_identity
from hub.core.monitoring import proxies
from hub.core.monitoring.storage import DiskLevel, budgets, over_budget, size_words
from hub.gateways.database.bounded_connection import STATEMENT_TIMEOUT_S
from hub.gateways.database.engine import open_database
from hub.gateways.database.migrations import revisions
from hub.gateways.disk_watch import DiskWatch
from hub.gateways.identity import NO_IDENTITY
from hub.settings import Settings

OLDEST_POSTGRESQL = 14
OLDEST_SQLITE = (3, 35)
OLDEST_REDIS = (6, 2)
STORE_TIMEOUT_S = 3
# Keys of hubs that are looked at.
MOST_KEYS = 10_000
POOLED = (
    "a pooler stands before the server and drops what the hub sets for its connections (time-outs, "
    "prepared statements): give DATABASE_URL the server's own address"
)


def check_database(settings: Settings) -> list[Finding]:
    """Check that the database answers, is new enough and has the newest schema; return findings."""
    url = make_url(settings.database_url)
    if _is_new(url):
        return [Finding(NOTE, "database", "no file yet: `hub up` or `hub db upgrade` makes it")]
    database = open_database(settings.database_url, pool_size=1)
    pooled = Finding(FAULT, "database", POOLED)
    try:
        with database.engine.connect() as connection:
            schema = _database_schema(connection)
            found = [_database_version(connection), schema]
            if schema.level == OK:
                found.append(_identity(connection, settings.public_url))
                if settings.public_url and not settings.proxy_hops and proxies.is_seen(connection):
                    found.append(Finding(NOTE, "proxy", proxies.SENTENCE))
            return found if _keeps_settings(connection) else [*found, pooled]
    except SQLAlchemyError as error:
        reason = _reason(getattr(error, "orig", None) or error, url.password)
        unreached = Finding(FAULT, "database", f"cannot be reached: {reason}")
        return [unreached, pooled] if "startup parameter" in reason else [unreached]
    finally:
        database.engine.dispose()


def check_disk(watch: DiskWatch) -> list[Finding]:
    """Check that the disks that the hub itself writes to have room; return a finding for each."""
    watch.look()
    found = []
    for one in watch.disks:
        subject = f"disk of {one.folder}"
        if one.space is None:
            found.append(Finding(NOTE, subject, "it cannot be looked at"))
        elif one.sentence:
            level = FAULT if one.level >= DiskLevel.FULL and one.stores else NOTE
            found.append(Finding(level, subject, one.sentence))
        else:
            found.append(Finding(OK, subject, f"{size_words(one.space.free_bytes)} are free"))
    return found


def check_budgets(settings: Settings, configuration: Configuration) -> list[Finding]:
    """Return the use of each source's byte budget today; a note where it is over."""
    if _is_new(make_url(settings.database_url)):
        return []
    database = open_database(settings.database_url, pool_size=1)
    try:
        with database.read() as connection:
            now = datetime.now(UTC)
            over = over_budget(connection, configuration, now=now)
            uses = budgets(connection, configuration, now=now)
    except SQLAlchemyError:  # a finding of `check_database`
        return []
    finally:
        database.engine.dispose()
    return [
        Finding(NOTE, f"source {slug}", over[slug])
        if slug in over
        else Finding(
            OK,
            f"source {slug}",
            f"{use} kept today of what did not verify, cannot be read, is held or came again",
        )
        for slug, use in uses.items()
    ]


def _is_new(url: URL) -> bool:
    """Return whether the database is a file that does not exist: to look at it would make it."""
    is_file = url.get_backend_name() == "sqlite" and not str(url.database).startswith("file:")
    return is_file and not Path(str(url.database)).exists()


def find_hub_id(settings: Settings) -> UUID | None:
    """Return the id of the hub; None if the database has none or does not answer."""
    if _is_new(make_url(settings.database_url)):
        return None
    database = open_database(settings.database_url, pool_size=1)
    try:
        with database.read() as connection:
            identity = read_identity(connection)
    except SQLAlchemyError:  # a finding of `check_database`
        return None
    finally:
        database.engine.dispose()
    return identity.hub_id if identity else None


def _keeps_settings(connection: Connection) -> bool:
    if connection.dialect.name == "sqlite":
        return True
    kept = connection.execute(text("SHOW statement_timeout")).scalar_one()
    return bool(kept == f"{STATEMENT_TIMEOUT_S}s")


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


def _identity(connection: Connection, public_url: str | None) -> Finding:
    identity = read_identity(connection)
    if identity is None:
        return Finding(FAULT, "database", NO_IDENTITY)
    if moved(identity, public_url):
        return Finding(FAULT, "database", moved_sentence(identity, public_url))
    return Finding(OK, "database", f"hub {identity.hub_id}")


def check_redis(settings: Settings, hub_id: UUID | None) -> list[Finding]:
    """Check that Redis answers, is new enough and evicts no wake-up; return findings.

    With the id of the hub, a note names the other hubs that it serves.
    """
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
            others = _other_hubs(client, hub_id) if hub_id else []
    except (redis.RedisError, OSError, ValueError) as error:
        password = urlsplit(settings.redis_url).password
        return [Finding(FAULT, "redis", f"cannot be reached: {_reason(error, password)}")]
    return judge_redis(info) + others


def _other_hubs(client: redis.Redis, hub_id: UUID) -> list[Finding]:
    """Return a note that names the other hubs with keys on this Redis; it only reads."""
    from rq import Queue  # no other command needs it to start

    queues = [queue.name for queue in Queue.all(connection=client)]
    keys = islice(client.scan_iter("hub:*", count=1000), MOST_KEYS)
    others = other_hubs([*queues, *(key.decode("utf-8", "replace") for key in keys)], hub_id)
    if not others:
        return []
    sentence = f"this Redis also serves {', '.join(others)}; the hubs do not hear of each other"
    return [Finding(NOTE, "redis", sentence)]


def judge_redis(info: Mapping[str, Any]) -> list[Finding]:
    """Return the findings about a server from its answer to INFO."""
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


def _reason(error: BaseException, password: object) -> str:
    """Return the first line of an error, with the password redacted: drivers quote URLs."""
    line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return line.replace(str(password), "…") if password else line
