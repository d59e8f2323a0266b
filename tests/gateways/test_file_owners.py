"""Owners of the hub's files: a command that root runs leaves nothing that the hub cannot open."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import text

from hub.cli.checks import FAULT
from hub.cli.checks.configuration import check_environment
from hub.core.errors import ConfigError
from hub.gateways.crypto import local_secret
from hub.gateways.database.engine import open_database
from hub.gateways.file_owners import find_foreign
from hub.gateways.lock_file import only_one
from hub.gateways.private_files import private_opener
from hub.processes import run_clock
from hub.settings import load_settings

HUB = 65534
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root acts for another user")


@pytest.fixture
def folder() -> Iterator[Path]:
    """Yield a folder of the hub's user, which that user reaches."""
    folder = Path(tempfile.mkdtemp())
    os.chown(folder, HUB, HUB)
    yield folder
    shutil.rmtree(folder)


@contextmanager
def as_hub() -> Iterator[None]:
    """Run the block under the hub's user."""
    os.setegid(HUB)
    os.seteuid(HUB)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


def test_what_root_makes_is_the_folder_s_owner_s(folder: Path) -> None:
    var = folder / "new" / "var"
    local_secret(var)
    database = open_database(f"sqlite:///{var}/data/hub.db", pool_size=1)
    with only_one(var), database.write() as connection:
        connection.execute(text("CREATE TABLE kept (n INTEGER)"))
        found = list(folder.rglob("*"))
        assert {one.name for one in found} >= {"hub.lock", "secret.key", "hub.db-wal", "data"}
        assert len([one for one in found if one.suffix == ".lock"]) == 3
        assert {one.lstat().st_uid for one in found} == {HUB}
        assert {one.stat().st_mode & 0o777 for one in found} == {0o600, 0o700}
    database.engine.dispose()
    with as_hub(), only_one(var):
        assert find_foreign(var, str(var / "data" / "hub.db")) == []


def test_root_gives_away_nothing_that_was_there_nor_what_a_link_leads_to(
    folder: Path, tmp_path: Path
) -> None:
    (folder / "there").touch(mode=0o600)
    (tmp_path / "passwd").touch()
    (folder / "link").symlink_to(tmp_path / "passwd")
    (folder / "dangling").symlink_to(tmp_path / "made")
    os.close(private_opener(str(folder / "there"), os.O_RDWR | os.O_CREAT))
    for name in ("link", "dangling"):
        with pytest.raises(PermissionError, match="root writes to no link"):
            private_opener(str(folder / name), os.O_RDWR | os.O_CREAT)
    for path in (folder / "there", tmp_path / "passwd"):
        assert path.stat().st_uid == 0
    assert not (tmp_path / "made").exists()
    os.close(private_opener(str(tmp_path / "own"), os.O_RDWR | os.O_CREAT))
    assert (tmp_path / "own").stat().st_uid == 0


def test_a_file_of_root_s_is_named_with_its_owner_and_what_to_do(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file, readable = folder / "hub.lock", folder / "shared"
    for path, mode in ((file, 0o600), (readable, 0o666)):
        path.touch()
        path.chmod(mode)
    environ = {"HUB_VAR": str(folder), "HUB_CONFIG": str(folder / "none.yaml")}
    words = f"{file} belongs to root", f": {file}` as root"
    expected: list[str] = []

    def check() -> None:
        [found] = [one for one in check_environment(environ)[1] if one.level == FAULT]
        expected.append(found.message)

    check()
    with as_hub():
        check()
        with pytest.raises(PermissionError) as refused, only_one(folder):
            pass
        expected.append(refused.value.strerror)
        with pytest.raises(ConfigError, match=r"none\.yaml"):
            run_clock(load_settings(environ), {})
    expected += [one for one in caplog.messages if "belongs" in one]
    assert len(expected) == 4
    for said in expected:
        assert all(one in said for one in words), said
        assert "shared" not in said


@pytest.mark.parametrize("is_there", [True, False])
def test_root_writes_through_no_link_that_the_folder_s_owner_has_put_there(
    folder: Path, tmp_path: Path, is_there: bool
) -> None:
    victim = tmp_path / "victim"
    if is_there:
        victim.write_text("what is root's")
    (folder / "hub.lock").symlink_to(victim)
    with pytest.raises(PermissionError, match="root writes to no link"), only_one(folder):
        pass
    assert victim.read_text() == "what is root's" if is_there else not victim.exists()
    (folder / "hub.lock").unlink()
    if is_there:
        os.link(victim, folder / "hub.lock")
        with pytest.raises(PermissionError, match="root writes to no link"), only_one(folder):
            pass
        assert victim.read_text() == "what is root's"
        (folder / "hub.lock").unlink()
    with only_one(folder):
        pass
