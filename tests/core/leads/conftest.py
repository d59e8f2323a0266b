"""Fixtures of the lead tests: a desk in the office."""

import pytest

from hub.gateways.database.engine import Database
from tests.core.leads.office import Desk, Office, tell


@pytest.fixture
def desk(database: Database) -> Desk:
    return Desk(Office(routes=[tell()]), database)
