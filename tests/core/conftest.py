"""Fixtures of the core tests: a database, empty before each test."""

from collections.abc import Iterator

import pytest

from hub.gateways.database.engine import Database, open_database
from tests.core.making import Town


@pytest.fixture
def postgresql_url(emptied_postgresql_url: str) -> str:
    return emptied_postgresql_url


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = open_database(database_url, pool_size=10)
    yield database
    database.engine.dispose()


@pytest.fixture
def town() -> Town:
    return Town()
