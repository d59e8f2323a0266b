"""Fixtures of the engine tests: the stage, and its far end."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from hub.worker import drain, lane, leases
from tests.engine.stage import Stage
from tests.far_end import FarEnd, Reply


@pytest.fixture(autouse=True)
def _drains_linger_briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drain, "LINGER_S", 0.05)


@pytest.fixture(autouse=True)
def _retries_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fix the jitter: full jitter may make a retry due at once, while its drain still lingers."""
    monkeypatch.setattr(lane, "random", SimpleNamespace(random=lambda: 0.9))
    monkeypatch.setattr(leases, "random", lambda: 0.9)


@pytest.fixture
def far_end() -> Iterator[FarEnd]:
    with FarEnd(lambda _: Reply(200, b"ok")) as far_end:
        yield far_end


@pytest.fixture
def stage(tmp_path: Path, database_url: str, redis_url: str, far_end: FarEnd) -> Iterator[Stage]:
    """Return a stage on SQLite and on PostgreSQL."""
    stage = Stage(tmp_path, database_url, redis_url, far_end)
    yield stage
    stage.close()


@pytest.fixture
def postgresql_stage(
    tmp_path: Path, postgresql_url: str, redis_url: str, far_end: FarEnd
) -> Iterator[Stage]:
    stage = Stage(tmp_path, postgresql_url, redis_url, far_end)
    yield stage
    stage.close()


@pytest.fixture
def sqlite_stage(
    tmp_path: Path, sqlite_url: str, redis_url: str, far_end: FarEnd
) -> Iterator[Stage]:
    stage = Stage(tmp_path, sqlite_url, redis_url, far_end)
    yield stage
    stage.close()
