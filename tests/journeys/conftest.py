"""Fixtures of the journeys: `database_url` is PostgreSQL, and in `make faults` SQLite too."""

import pytest


@pytest.fixture(params=["postgresql", pytest.param("sqlite", marks=pytest.mark.faults)])
def database_url(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(f"{request.param}_url"))
