"""Database roles of `deploy/postgresql-roles.sql`: processes may use rows and no more."""

from pathlib import Path

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege
from sqlalchemy import make_url

from hub.gateways.database.migrations import downgrade, upgrade
from tests.far_end import FarEnd
from tests.running import RunningHub, stripe_event, until

ROLES = Path(__file__).parents[2] / "deploy" / "postgresql-roles.sql"


@pytest.fixture
def as_role(postgresql_url: str):
    """Create the roles, twice as an operator might; return a function from role to address."""
    with psycopg.connect(postgresql_url, autocommit=True) as connection:
        for _ in range(2):
            connection.execute(ROLES.read_text())
    url = make_url(postgresql_url)
    return lambda name: url.set(username=name).render_as_string(hide_password=False)


def test_a_hub_that_may_not_change_a_table_does_all_its_work(tmp_path, as_role, redis_url):
    with FarEnd() as far_end:
        running = RunningHub(
            tmp_path,
            database_url=as_role("hub"),
            redis_url=redis_url,
            environ={"FAR_END": far_end.url},
        )
        with running as hub:
            hub.start("web", "worker", "clock")
            for n in range(3):
                assert hub.post(stripe_event(f"evt_{n}")) == 200
            until(lambda: len(hub.deliveries(state="succeeded")) == 3, 20, "the deliveries")
            hub.cli("pause", "ops")
            hub.cli("resume", "ops")
            assert len(hub.cli("audit")) >= 2
    assert len(far_end.received) == 3


@pytest.mark.parametrize(
    "statement",
    [
        "DROP TABLE events",
        "ALTER TABLE events DROP COLUMN type",
        "CREATE TABLE mine (id int)",
        "TRUNCATE events",
        "UPDATE audit_log SET actor = 'nobody'",
        "DELETE FROM audit_log",
        "TRUNCATE audit_log",
        "DROP TRIGGER audit_log_stays ON audit_log",
        "ALTER TABLE audit_log DISABLE TRIGGER ALL",
        "UPDATE alembic_version SET version_num = '0001'",
    ],
)
def test_what_a_process_has_no_business_with_is_refused(as_role, statement):
    with psycopg.connect(as_role("hub")) as connection, pytest.raises(InsufficientPrivilege):
        connection.execute(statement)


def test_the_owner_upgrades_and_what_it_makes_is_for_the_processes(as_role):
    downgrade(as_role("hub_owner"), "-2")
    upgrade(as_role("hub_owner"))
    with psycopg.connect(as_role("hub_owner")) as owner:
        owner.execute("CREATE TABLE later (id bigint GENERATED ALWAYS AS IDENTITY, x int)")
    with psycopg.connect(as_role("hub")) as connection:
        connection.execute("INSERT INTO later (x) VALUES (1)")
        connection.execute("UPDATE later SET x = 2")
