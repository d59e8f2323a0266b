"""Fixture of the retention tests: an attic full of old rows."""

import pytest

from hub.gateways.database.engine import Database
from tests.core.making import Town
from tests.core.retention.aging import Attic


@pytest.fixture
def attic(database: Database, town: Town) -> Attic:
    return Attic(database, town)
