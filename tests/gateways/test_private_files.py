"""Private files: whatever makes them, and whatever the umask, nobody else may look into them."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from hub.core.errors import ConfigError
from hub.gateways.database.engine import open_database
from hub.gateways.database.write_line import WriteLine
from hub.gateways.lock_file import only_one
from hub.gateways.private_files import find_open, make_private_folder, open_sentence
from hub.processes import run_clock, run_worker
from hub.server import serve
from hub.settings import load_settings
from tests.running import ROOT, until
from tests.stores import free_port


@pytest.fixture
def no_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def test_missing_folders_above_are_private_too(tmp_path: Path, no_umask: None) -> None:
    tmp_path.chmod(0o755)
    make_private_folder(tmp_path / "a" / "b" / "c")
    assert [one.stat().st_mode & 0o777 for one in tmp_path.rglob("*")] == [0o700] * 3
    assert tmp_path.stat().st_mode & 0o777 == 0o755


def test_another_connection_does_not_take_the_locks_of_the_first_one(tmp_path: Path) -> None:
    """Closing a file ends a process's locks on it: another process would then delete the log."""
    url = f"sqlite:///{tmp_path}/hub.db"
    database = open_database(url, pool_size=2)
    with database.write() as connection:
        connection.execute(text("CREATE TABLE kept (n INTEGER)"))
    with database.read() as one, database.read() as other:
        one.execute(text("SELECT * FROM kept"))
        other.execute(text("SELECT * FROM kept"))
        assert _counted(tmp_path / "hub.db") == 0
    assert (tmp_path / "hub.db-wal").exists()
    with database.write() as connection:
        connection.execute(text("INSERT INTO kept VALUES (1)"))
    assert _counted(tmp_path / "hub.db") == 1
    database.engine.dispose()


def _counted(path: Path) -> int:
    """Return the number of rows that another process sees, which closes the file afterwards."""
    code = (
        "import sqlite3, sys; database = sqlite3.connect(sys.argv[1]); "
        "print(*database.execute('SELECT count(*) FROM kept').fetchone()); database.close()"
    )
    command = [sys.executable, "-c", code, str(path)]
    return int(subprocess.run(command, capture_output=True, check=True, timeout=60).stdout)


def test_locks_are_private(tmp_path: Path, no_umask: None) -> None:
    line = WriteLine(str(tmp_path / "hub.db"))
    with line.turn(), only_one(tmp_path / "var"):
        assert len([one for one in tmp_path.rglob("*") if one.is_file()]) == 3
        assert find_open(tmp_path / "var", str(tmp_path / "hub.db")) == []


def test_a_database_made_by_the_release_command_is_private(tmp_path: Path, no_umask: None) -> None:
    environ = os.environ | {"DATABASE_URL": f"sqlite:///{tmp_path}/new/hub.db"}
    command = [sys.executable, "-m", "hub", "db", "upgrade"]
    subprocess.run(command, env=environ | {"HUB_VAR": str(tmp_path / "var")}, check=True)
    assert (tmp_path / "new" / "hub.db").stat().st_mode & 0o777 == 0o600
    assert find_open(tmp_path / "new", None) == []


def test_all_that_a_hub_makes_is_private(tmp_path: Path) -> None:
    port, said = free_port(), tmp_path / "said"
    environ = {"PATH": os.environ["PATH"], "PORT": str(port), "PYTHONPATH": str(ROOT)}
    with said.open("w") as log:
        hub = subprocess.Popen(
            [sys.executable, "-m", "hub", "up"], cwd=tmp_path, env=environ, stderr=log, umask=0
        )
        try:
            until(lambda: "ready on" in said.read_text(), 60, "the hub")
            until(lambda: list((tmp_path / "var").glob("hub.db-*.lock")), 30, "its lock files")
            expected = {"hub.db", "hub.db-wal", "hub.db-shm", "hub.lock", "hub-id", "redis.sock",
                        "secret.key", "server.log", "written-by", "appendonlydir"}  # fmt: skip
            found = lambda: {one.name for one in (tmp_path / "var").rglob("*")}  # noqa: E731
            until(lambda: expected <= found(), 30, "its files")
            assert find_open(tmp_path / "var", None) == []
            assert find_open(tmp_path / "none", str(tmp_path / "hub.yaml")) == []
        finally:
            hub.terminate()
            assert hub.wait(60) == 0


@pytest.mark.parametrize("command", ["web", "worker", "clock"])
def test_a_start_says_which_files_are_open(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "hub.db").touch()
    (tmp_path / "hub.db").chmod(0o644)
    settings = load_settings({"HUB_VAR": str(tmp_path), "HUB_CONFIG": str(tmp_path / "none.yaml")})
    start = {"web": serve, "worker": run_worker, "clock": run_clock}[command]
    arguments = (settings,) if command == "web" else (settings, {})
    with pytest.raises(ConfigError, match=r"none\.yaml"):
        start(*arguments)
    assert f"`chmod 600 {tmp_path}/hub.db`" in caplog.text


def test_the_sentence_says_which_and_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "a b").mkdir(mode=0o700)
    file = tmp_path / "a b" / "hub.db"
    file.touch()
    (tmp_path / "a b").chmod(0o711)
    file.chmod(0o640)
    said = open_sentence(find_open(tmp_path / "a b", str(file)))
    assert f"`chmod 700 '{tmp_path}/a b'` and `chmod 600 '{file}'`" in said
