"""The processes that have no web floor do not pay for one."""

import subprocess
import sys

import pytest
from alembic.script import ScriptDirectory

from hub.gateways.database import open_database
from hub.gateways.revisions import MIGRATIONS, revisions
from tests.running import ROOT

DEAR = "flask flask_sqlalchemy flask_wtf gunicorn alembic argon2 pyotp segno holidays babel"


@pytest.fixture(scope="module")
def imported() -> set[str]:
    program = "import sys, hub.cli.processes, hub.background; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, timeout=60, capture_output=True, text=True
    )
    return set(done.stdout.split())


@pytest.mark.parametrize("dear", DEAR.split())
def test_workers_and_the_clock_do_not_import(dear: str, imported: set[str]) -> None:
    assert "hub.jobs.drain" in imported
    assert dear not in imported


def test_the_newest_revision_is_known_without_alembic(postgresql_url) -> None:
    head = ScriptDirectory(str(MIGRATIONS)).get_current_head()
    with open_database(postgresql_url, pool_size=1).read() as connection:
        assert revisions(connection) == (head, head)
