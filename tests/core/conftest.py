"""A database of the test's own, as core is given it."""

from collections.abc import Iterator

import pytest

from hub.gateways.database import Database, open_database
from tests.core.making import Town, empty
from tests.stores import PostgresServer


@pytest.fixture(scope="session")
def _one_postgresql_url(postgres_server: PostgresServer, _postgresql_template: str) -> str:
    return postgres_server.url(postgres_server.create_database(template=_postgresql_template))


@pytest.fixture
def postgresql_url(_one_postgresql_url: str) -> str:
    """One database for all tests here, empty before each."""
    empty(_one_postgresql_url)
    return _one_postgresql_url


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = open_database(database_url, pool_size=10)
    yield database
    database.engine.dispose()


@pytest.fixture
def town() -> Town:
    return Town()
