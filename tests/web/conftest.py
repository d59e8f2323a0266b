"""Fixtures of the web tests: a web process per database, shared by a module."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hub.server import MOST_CONNECTIONS
from tests.forked import Forked
from tests.running import READY_WITHIN_S, RunningHub, until
from tests.stores import PostgresServer, RedisServer
from tests.web.serving import CONFIG, Web

FEW_CONNECTIONS = 20
# Of a process that may open so many at first, and so many at most.
FEW_FILES, MOST_FILES = 64, 400


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def module_database_url(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Create a migrated database for all tests of a module."""
    if request.param == "sqlite":
        path = tmp_path_factory.mktemp("web") / "hub.db"
        shutil.copy(request.getfixturevalue("_sqlite_template"), path)
        yield f"sqlite:///{path}"
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    name = server.create_database(template=request.getfixturevalue("_postgresql_template"))
    yield f"{server.url(name)}".replace("postgresql://", "postgresql+psycopg://")
    server.drop_database(name)


@pytest.fixture(scope="module")
def web(
    module_database_url: str, tmp_path_factory: pytest.TempPathFactory, _redis_server: RedisServer
) -> Iterator[Web]:
    """Run `hub web` unchanged."""
    with _running(tmp_path_factory.mktemp("hub"), module_database_url, _redis_server) as running:
        running.start("web")
        web = Web(running, module_database_url)
        yield web
        web.store.engine.dispose()
        assert_no_defect(running)


@pytest.fixture(scope="module")
def postgresql_hub(
    postgres_server: PostgresServer,
    _postgresql_template: str,
    tmp_path_factory: pytest.TempPathFactory,
    _redis_server: RedisServer,
) -> Iterator[RunningHub]:
    """Create a hub on a PostgreSQL database of its own; none of its processes is started yet."""
    name = postgres_server.create_database(template=_postgresql_template)
    url = postgres_server.url(name).replace("postgresql://", "postgresql+psycopg://")
    with _running(tmp_path_factory.mktemp("hub"), url, _redis_server) as running:
        yield running
    postgres_server.drop_database(name)


@pytest.fixture(scope="module")
def postgresql_web(postgresql_hub: RunningHub) -> Iterator[Web]:
    """Run `hub web` on PostgreSQL, with one process."""
    postgresql_hub.start("web")
    web = Web(postgresql_hub, postgresql_hub.environ["DATABASE_URL"])
    yield web
    web.store.engine.dispose()
    assert_no_defect(postgresql_hub, but="database error during")


@pytest.fixture(scope="module")
def impatient_web(
    module_database_url: str, tmp_path_factory: pytest.TempPathFactory, _redis_server: RedisServer
) -> Iterator[Web]:
    """Run `hub web` with short timeouts."""
    folder = tmp_path_factory.mktemp("impatient")
    with _impatient(folder, module_database_url, _redis_server) as web:
        yield web


@pytest.fixture(scope="module")
def crowded_web(
    _sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory, _redis_server: RedisServer
) -> Iterator[Web]:
    """Run `hub web` with `FEW_CONNECTIONS`."""
    folder = tmp_path_factory.mktemp("crowded")
    shutil.copy(_sqlite_template, folder / "hub.db")
    url = f"sqlite:///{folder}/hub.db"
    with _impatient(folder, url, _redis_server, str(FEW_CONNECTIONS)) as web:
        yield web


@pytest.fixture
def web_of_few_files(sqlite_url: str, tmp_path: Path, _redis_server: RedisServer) -> Iterator[Web]:
    """Run `hub web` where a process may open `FEW_FILES`, and `MOST_FILES` if it asks."""
    few = (str(MOST_CONNECTIONS), str(FEW_FILES), str(MOST_FILES))
    with _impatient(tmp_path, sqlite_url, _redis_server, *few) as web:
        yield web


@contextmanager
def _impatient(folder: Path, url: str, redis: RedisServer, *arguments: str) -> Iterator[Web]:
    with _running(folder, url, redis) as running:
        with (folder / "web.log").open("ab") as log:
            running.processes["web"] = Forked(
                "tests.web.impatient",
                arguments,
                cwd=folder,
                env=running.environ,
                stdout=log,
                stderr=log,
            )
        until(lambda: running.get("/healthz") == 200, READY_WITHIN_S, "web to answer")
        web = Web(running, url)
        yield web
        web.store.engine.dispose()
        assert_no_defect(running)


def _running(folder: Path, database_url: str, redis: RedisServer) -> RunningHub:
    return RunningHub(folder, database_url=database_url, redis_url=redis.url, config=CONFIG)


def assert_no_defect(running: RunningHub, *, but: str = "") -> None:
    logs = running.logs()
    for trouble in (
        "Traceback",
        "a view failed",
        "failed outside",
        "database error during",
        "[ERROR]",
        "ASGI callable",
    ):
        assert trouble == but or trouble not in logs, logs[-5000:]
