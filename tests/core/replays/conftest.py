"""Failed deliveries for the tests of replays."""

from typing import Any

import pytest

from tests.core.replaying import fill


@pytest.fixture
def failed(database):
    """Make a database with so many failed deliveries: `failed(5)`."""

    def make(count: int, **values: Any) -> None:
        with database.write() as connection:
            fill(connection, count, **values)

    return make
