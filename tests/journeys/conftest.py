"""Journeys go over PostgreSQL; those for both databases go over SQLite too in `make faults`."""

import pytest


@pytest.fixture(params=["postgresql", pytest.param("sqlite", marks=pytest.mark.faults)])
def database_url(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(f"{request.param}_url"))
