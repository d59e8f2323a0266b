"""Fixtures for all tests: real stores, started once per test process.

redis_url, redis_server          empty before each test
database_url                     a migrated database of the test's own, on SQLite and PostgreSQL
sqlite_url, postgresql_url       the same, on one of them
own_postgresql_url               the same where a folder has `postgresql_url` be the emptied one
emptied_postgresql_url           one shared by all that ask for it, migrated, without rows: quicker
postgres_server                  for a test that needs databases which are not migrated
store_folder                     a folder for a test's own `RedisServer` or `PostgresServer`
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from tests import compiled_routes, stores
from tests.exploring import THOROUGH
from tests.stores import PostgresServer, RedisServer

# Runs by a developer explore; the result of a merge check must not depend on random examples.
hypothesis.settings.register_profile("explore", deadline=None)
hypothesis.settings.register_profile("merge", deadline=None, derandomize=True, database=None)
hypothesis.settings.register_profile(THOROUGH, deadline=None)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS", "explore"))
compiled_routes.share()


@pytest.fixture(scope="session")
def _redis_server() -> Iterator[RedisServer]:
    with stores.store_folder() as folder:
        server = RedisServer(folder)
        server.start()
        yield server
        server.stop()


@pytest.fixture
def redis_server(_redis_server: RedisServer) -> RedisServer:
    with _redis_server.client() as client:
        client.flushall()
    return _redis_server


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    return redis_server.url


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    with stores.store_folder() as folder:
        # A vacuum of its own accord changes plans, and so the order of rows, at any moment.
        server = PostgresServer(folder, fsync=False, autovacuum="off")
        server.start()
        yield server
        server.stop()


@pytest.fixture(scope="session")
def _postgresql_template(postgres_server: PostgresServer) -> str:
    from hub.gateways.database.migrations import upgrade

    name = postgres_server.create_database()
    upgrade(postgres_server.url(name))
    return name


@pytest.fixture(scope="session")
def _sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from hub.gateways.database.migrations import upgrade

    path = tmp_path_factory.mktemp("migrated") / "hub.db"
    upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture
def own_postgresql_url(postgres_server: PostgresServer, _postgresql_template: str) -> Iterator[str]:
    name = postgres_server.create_database(template=_postgresql_template)
    yield postgres_server.url(name)
    postgres_server.drop_database(name)


@pytest.fixture
def postgresql_url(own_postgresql_url: str) -> str:
    return own_postgresql_url


@pytest.fixture(scope="session")
def _one_postgresql(postgres_server: PostgresServer, _postgresql_template: str) -> str:
    return postgres_server.create_database(template=_postgresql_template)


@pytest.fixture
def emptied_postgresql_url(postgres_server: PostgresServer, _one_postgresql: str) -> str:
    postgres_server.empty_database(_one_postgresql)
    return postgres_server.url(_one_postgresql)


@pytest.fixture
def sqlite_url(_sqlite_template: Path, tmp_path: Path) -> str:
    path = tmp_path / "hub.db"
    shutil.copy(_sqlite_template, path)  # with its mode, as the hub made it
    return f"sqlite:///{path}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(f"{request.param}_url"))


@pytest.fixture
def store_folder() -> Iterator[Path]:
    with stores.store_folder() as folder:
        yield folder
