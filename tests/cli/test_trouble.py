"""`hub db`, and the error messages of all commands when the configuration or a store is faulty."""

import pytest
from alembic.script import ScriptDirectory

from hub.gateways.database.migrations import MIGRATIONS, downgrade, upgrade
from tests.cli.commanding import Desk
from tests.stores import PostgresServer

COMMANDS = [
    ["events"], ["deliveries", "--json"], ["show", "x"], ["replay", "x"], ["pause", "ops"],
    ["settle", "x", "--as", "drop", "--reason", "y"], ["send", "stripe"],
]  # fmt: skip
NEWEST = ScriptDirectory(str(MIGRATIONS)).get_current_head()
PASSWORD = "correct-horse"


@pytest.fixture
def postgresql_url(own_postgresql_url: str) -> str:
    """Return a database of the test's own, because the tests downgrade its tables."""
    return own_postgresql_url


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_tables_that_are_missing_are_said_with_what_to_do(desk, sqlite_url, command) -> None:
    downgrade(sqlite_url, "base")
    said = desk.run(*command)
    assert said.code == 1
    assert said.sentence == (
        "hub: the database does not have this version's tables: run `hub db upgrade`"
    )


@pytest.mark.parametrize(
    "command", [*COMMANDS, ["db", "check"], ["db", "upgrade"], ["db", "downgrade", "--yes"]],
    ids=" ".join,
)  # fmt: skip
def test_a_database_that_is_gone_is_a_sentence_without_its_password(desk, command) -> None:
    desk.setenv(DATABASE_URL=f"postgresql://me:{PASSWORD}@127.0.0.1:1/hub")
    said = desk.run(*command)
    assert said.code == 1
    assert "Connection refused" in said.sentence
    assert PASSWORD not in said.err


def test_a_database_that_there_is_not_is_a_sentence(desk, postgres_server: PostgresServer) -> None:
    desk.setenv(DATABASE_URL=postgres_server.url("nowhere"))
    said = desk.run("events")
    assert said.code == 1
    assert 'database "nowhere" does not exist' in said.sentence


@pytest.mark.parametrize("command", [["events"], ["db", "upgrade"]], ids=" ".join)
def test_a_path_that_cannot_be_is_a_sentence(desk, command) -> None:
    (desk.folder / "file").touch()
    desk.setenv(DATABASE_URL=f"sqlite:///{desk.folder}/file/hub.db")
    said = desk.run(*command)
    assert said.code == 1
    assert f"{desk.folder}/file" in said.sentence


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_each_fault_of_the_file_is_a_line(desk, command) -> None:
    (desk.folder / "hub.yaml").write_text("sources: [1]\ncolour: red\n")
    said = desk.run(*command)
    assert (said.code, said.out) == (2, "")
    first, second = said.err.splitlines()
    assert first.startswith("hub.yaml:1: sources: ")
    assert second.startswith("hub.yaml:2: colour: ")


@pytest.mark.parametrize("command", [*COMMANDS, ["db", "check"], ["db", "upgrade"]], ids=" ".join)
def test_each_fault_of_the_environment_is_a_line(desk, command) -> None:
    desk.setenv(PORT="many", LOG_LEVEL="loud")
    said = desk.run(*command)
    assert (said.code, said.out) == (2, "")
    assert sorted(line.partition(":")[0] for line in said.err.splitlines()) == ["LOG_LEVEL", "PORT"]


def test_the_tables_are_brought_up_checked_and_taken_down(desk_anywhere: Desk) -> None:
    desk = desk_anywhere
    assert desk.run("db", "check").code == 0
    assert desk.run("db", "downgrade", "base", "--yes").code == 0
    said = desk.run("db", "check")
    assert said.code == 1
    assert (
        said.sentence == f"hub: there are no tables, the newest is {NEWEST}: run `hub db upgrade`"
    )
    for _ in range(2):
        said = desk.run("db", "upgrade")
        assert (said.code, said.out, said.err) == (0, "", "the database is up to date\n")
    assert desk.run("db", "check").code == 0


def test_tables_are_not_taken_down_at_a_terminal_unless_somebody_agrees(desk) -> None:
    desk.receive("evt_1")
    for stdin in ("", "n\n"):
        said = desk.run("db", "downgrade", "base", stdin=stdin, terminal=True)
        assert said.code == 1
        assert "This drops tables and what is in them." in said.err
    assert len(desk.json("events")) == 1
    assert desk.run("db", "downgrade", "base", stdin="y\n", terminal=True).code == 0
    assert desk.run("events").code == 1


def test_a_revision_that_there_is_not_is_a_sentence(desk) -> None:
    for command in (["upgrade", "nonsense"], ["downgrade", "nonsense", "--yes"]):
        said = desk.run("db", *command)
        assert said.code == 1
        assert "'nonsense'" in said.sentence


def test_tables_of_another_version_are_said_to_be_so(desk, sqlite_url) -> None:
    with desk.store.write() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    assert "`hub db upgrade`" in desk.run("events").sentence
    assert "'9999'" in desk.run("db", "upgrade").sentence
    with desk.store.write() as connection:
        connection.exec_driver_sql(f"UPDATE alembic_version SET version_num = '{NEWEST}'")
    upgrade(sqlite_url)


def test_the_schema_s_standing_is_there_for_programs(desk) -> None:
    at_head = {"revision": NEWEST, "newest": NEWEST}
    assert desk.json("db", "check") == desk.json("db", "upgrade") == at_head
    assert desk.json("db", "downgrade", "base", "--yes") == {"revision": None, "newest": NEWEST}
