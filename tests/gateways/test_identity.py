"""Identity of a process: from the database, from the cache without it, and refused for a copy."""

import stat
import threading
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from sqlalchemy import delete, select
from sqlalchemy.exc import DBAPIError

from hub.core.errors import ConfigError
from hub.core.identity import adopt, read_identity
from hub.core.models import HubIdentity
from hub.gateways.database.engine import Database, open_database
from hub.gateways.database.migrations import upgrade
from hub.gateways.identity import (
    IdentityCache,
    identity_of,
    start_identity,
)
from tests.core.making import NOW

HOME, STAGING = "https://hub.example", "https://staging.example"
WITHIN_S = 30


@pytest.fixture
def database(database_url):
    database = open_database(database_url, pool_size=2)
    yield database
    database.engine.dispose()


@pytest.fixture
def cache(tmp_path, database_url) -> IdentityCache:
    return IdentityCache(tmp_path / "var", database_url)


def id_in(database: Database) -> UUID:
    with database.read() as connection:
        identity = read_identity(connection)
    assert identity is not None
    return identity.hub_id


def away(tmp_path: Path) -> Database:
    """Return a database that does not answer."""
    (tmp_path / "file").write_text("")
    database = open_database(f"sqlite:///{tmp_path}/file", pool_size=1)
    (tmp_path / "file").unlink()
    (tmp_path / "file").mkdir()
    return database


def test_what_was_read_from_the_database_is_known_without_it(database, cache, tmp_path) -> None:
    assert cache.read() is None
    hub_id = identity_of(database, cache)
    assert hub_id == id_in(database)
    assert identity_of(away(tmp_path), cache) == hub_id


def test_what_is_cached_is_for_its_owner_alone(database, cache) -> None:
    identity_of(database, cache)
    [file] = cache.var_dir.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(cache.var_dir.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("postgresql+psycopg://u:old@db/hub", "postgresql+psycopg://u:new@db/hub", True),
        (
            "postgresql+psycopg://u:old@db/hub",
            "postgresql+psycopg://v@db/hub?sslmode=require",
            True,
        ),
        ("postgresql+psycopg://u@db/hub", "postgresql+psycopg://u@db/other", False),
        ("postgresql+psycopg://u@db/hub", "postgresql+psycopg://u@db:5433/hub", False),
        ("postgresql+psycopg:///hub?host=/a", "postgresql+psycopg:///hub?host=/b", False),
        ("sqlite:///one.db", f"sqlite:///{Path.cwd()}/one.db", True),
        ("sqlite:////a/one.db", "sqlite:////a/two.db", False),
    ],
)
def test_an_id_is_cached_for_one_database_only(tmp_path, one, other, same) -> None:
    hub_id = uuid4()
    IdentityCache(tmp_path, one).write(hub_id)
    assert IdentityCache(tmp_path, other).read() == (hub_id if same else None)
    assert "old" not in (tmp_path / "hub-id").read_text()


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"1f3a", b"no id 0", b"\n"])
def test_a_cache_that_cannot_be_read_says_nothing(tmp_path, content) -> None:
    (tmp_path / "hub-id").write_bytes(content)
    assert IdentityCache(tmp_path, "sqlite:///hub.db").read() is None


def test_where_nothing_can_be_kept_a_warning_says_so(
    database, database_url, tmp_path, caplog
) -> None:
    (tmp_path / "no-folder").write_text("")
    cache = IdentityCache(tmp_path / "no-folder", database_url)
    assert identity_of(database, cache) == id_in(database)
    assert "HUB_VAR" in caplog.text
    assert caplog.text.count("WARNING") == 1


def test_processes_that_write_the_cache_together_leave_one_whole_file(tmp_path) -> None:
    cache, ids = IdentityCache(tmp_path, "sqlite:///hub.db"), [uuid4() for _ in range(8)]
    threads = [threading.Thread(target=cache.write, args=[one]) for one in ids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert cache.read() in ids
    assert [path.name for path in tmp_path.iterdir()] == ["hub-id"]


def test_the_first_start_with_an_origin_notes_it(database, cache) -> None:
    assert start_identity(database, cache, None).public_url is None
    assert start_identity(database, cache, HOME).public_url == HOME
    assert start_identity(database, cache, HOME).hub_id == cache.read() == id_in(database)


@pytest.mark.parametrize("given", [STAGING, None])
def test_a_copied_database_is_refused_until_somebody_says_what_it_is(
    database, cache, given
) -> None:
    before = start_identity(database, cache, HOME)
    with pytest.raises(ConfigError, match="`hub db adopt --as-copy`") as refused:
        start_identity(database, cache, given)
    [sentence] = refused.value.faults
    assert HOME in sentence
    with database.write() as connection:
        adopt(connection, public_url=given, as_copy=True, actor="cli:me", now=NOW)
    after = start_identity(database, cache, given)
    assert after.hub_id != before.hub_id
    assert cache.read() == after.hub_id


def test_a_start_before_the_migration_is_an_error_of_the_database(tmp_path) -> None:
    database = open_database(f"sqlite:///{tmp_path}/new.db", pool_size=1)
    cache = IdentityCache(tmp_path, f"sqlite:///{tmp_path}/new.db")
    with pytest.raises(DBAPIError):
        start_identity(database, cache, HOME)
    assert identity_of(database, cache) is None


def test_a_lost_id_is_a_sentence(tmp_path) -> None:
    url = f"sqlite:///{tmp_path}/hub.db"
    upgrade(url)
    database, cache = open_database(url, pool_size=1), IdentityCache(tmp_path, url)
    with database.write() as connection:
        connection.execute(delete(HubIdentity))
    with pytest.raises(ConfigError, match="run `hub db adopt`"):
        start_identity(database, cache, HOME)


def test_two_databases_have_two_ids(tmp_path) -> None:
    ids = set()
    for name in ("one", "two"):
        upgrade(f"sqlite:///{tmp_path}/{name}.db")
        with open_database(f"sqlite:///{tmp_path}/{name}.db", pool_size=1).read() as connection:
            ids.add(connection.execute(select(HubIdentity.hub_id)).scalar_one())
    assert len(ids) == 2
